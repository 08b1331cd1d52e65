import { z } from 'zod';
import { responseIdSchema } from '#app/ids.ts';
import { tenantOf } from '#router/http/request-state.ts';
import { keptSince } from '#router/responses/kept/kept-since.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

export const deletedResponseSchema = z.object({
  id: responseIdSchema,
  object: z.literal('response'),
  deleted: z.literal(true),
});

/** `DELETE /v1/responses/:response_id` */
export const deleteResponse: Endpoint = (app, { responses, now }) => {
  app.route({
    method: 'DELETE',
    url: '/v1/responses/:response_id',
    schema: {
      ...TAGS.conversations,
      summary: 'Delete a response that is kept; nothing goes on from it any more',
      params: z.object({ response_id: responseIdSchema }),
      response: answers(deletedResponseSchema),
    },
    handler: async (request) => {
      const { context, policy } = tenantOf(request);
      const { response_id: id } = request.params;
      await responses.delete(context, id, keptSince(policy.config, now()));
      return { id, object: 'response' as const, deleted: true as const };
    },
  });
};
