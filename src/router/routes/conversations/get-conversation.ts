import { z } from 'zod';
import { conversationIdSchema } from '#app/ids.ts';
import { conversationWithMessagesSchema } from '#app/schemas/conversation.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { guardConversation } from '#router/routes/conversations/guard-conversation.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /v1/conversations/:conversation_id` */
export const getConversation: Endpoint = (app, { orchestrator, guardrails, judges }) => {
  app.route({
    method: 'GET',
    url: '/v1/conversations/:conversation_id',
    schema: {
      ...TAGS.conversations,
      summary: 'One conversation with its messages',
      params: z.object({ conversation_id: conversationIdSchema }),
      response: answers(conversationWithMessagesSchema),
    },
    handler: async (request) => {
      const { context, policy } = tenantOf(request);
      const { conversation_id: id } = request.params;
      const { requestId, signal } = stateOf(request);
      const stored = await orchestrator.getConversation(context, id, signal);
      const conversation = await guardConversation(
        stored,
        (text) => guardrails.output.redactInSteps(policy, text),
        {
          tenantId: context.tenantId,
          signal,
        },
      );
      return judges.judgeConversation({ context, policy, requestId, signal }, conversation);
    },
  });
};
