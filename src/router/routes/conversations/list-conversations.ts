import { conversationPageSchema } from '#app/schemas/conversation.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /v1/conversations` */
export const listConversations: Endpoint = (app, { orchestrator, guardrails }) => {
  app.route({
    method: 'GET',
    url: '/v1/conversations',
    schema: {
      ...TAGS.conversations,
      summary: 'The caller’s own conversations, newest first',
      querystring: pageRequestSchema,
      response: answers(conversationPageSchema),
    },
    handler: async (request) => {
      const { context, policy } = tenantOf(request);
      const page = await orchestrator.listConversations(context, request.query, stateOf(request).signal);
      const data = page.data.map((conversation) => ({
        ...conversation,
        title: guardrails.output.redact(policy, conversation.title),
      }));
      return { ...page, data };
    },
  });
};
