import { z } from 'zod';
import { conversationIdSchema } from '#app/ids.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers, noContent } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `DELETE /v1/conversations/:conversation_id` */
export const deleteConversation: Endpoint = (app, { orchestrator }) => {
  app.route({
    method: 'DELETE',
    url: '/v1/conversations/:conversation_id',
    schema: {
      ...TAGS.conversations,
      summary: 'Delete a conversation and its messages',
      params: z.object({ conversation_id: conversationIdSchema }),
      response: answers(noContent, 204),
    },
    handler: async (request, reply) => {
      const { conversation_id } = request.params;
      await orchestrator.deleteConversation(
        tenantOf(request).context,
        conversation_id,
        stateOf(request).signal,
      );
      return reply.status(204).send();
    },
  });
};
