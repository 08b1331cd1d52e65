import { conversationSchema } from '#app/schemas/conversation.ts';
import { pageOf, pageRequestSchema } from '#app/schemas/page.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /v1/conversations` */
export const listConversations: Endpoint = (app, { orchestrator }) => {
  app.route({
    method: 'GET',
    url: '/v1/conversations',
    schema: {
      ...TAGS.conversations,
      summary: 'The caller’s own conversations, newest first',
      querystring: pageRequestSchema,
      response: answers(pageOf(conversationSchema)),
    },
    handler: (request) =>
      orchestrator.listConversations(tenantOf(request).context, request.query, stateOf(request).signal),
  });
};
