import { z } from 'zod';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { responseIdSchema } from '#app/ids.ts';
import { tenantOf } from '#router/http/request-state.ts';
import { keptSince } from '#router/responses/kept/kept-since.ts';
import { responseSchema } from '#router/responses/response-schema.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /v1/responses/:response_id/cancel`: always refused, in words that say why. */
export const cancelResponse: Endpoint = (app, { responses, now }) => {
  app.route({
    method: 'POST',
    url: '/v1/responses/:response_id/cancel',
    schema: {
      ...TAGS.conversations,
      summary: 'Refused: only responses in the background can be cancelled, and there are none',
      description: 'To end a response that is being written, close the connection.',
      params: z.object({ response_id: responseIdSchema }),
      response: answers(responseSchema),
    },
    handler: async (request) => {
      const { context, policy } = tenantOf(request);
      const { response_id: id } = request.params;
      const sizes = await responses.sizes(context, new Set([id]), keptSince(policy.config, now()));
      if (!sizes.has(id)) throw notFound('response', 'response_id');
      throw new BulkheadError(
        'invalid_request',
        'Only responses that run in the background can be cancelled, and this one is complete.',
      );
    },
  });
};
