import { z } from 'zod';
import { responseIdSchema } from '#app/ids.ts';
import { tenantOf } from '#router/http/request-state.ts';
import { keptSince } from '#router/responses/kept/kept-since.ts';
import { showFields, showItems } from '#router/responses/kept/show-kept.ts';
import { responseSchema } from '#router/responses/response-schema.ts';
import type { Endpoint } from '#router/router-services.ts';
import { ignoreInclude } from '#router/routes/kept-responses/ignore-include.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /v1/responses/:response_id` */
export const getResponse: Endpoint = (app, services) => {
  const { responses, now } = services;
  app.route({
    method: 'GET',
    url: '/v1/responses/:response_id',
    schema: {
      ...TAGS.conversations,
      summary: 'A response that is kept for the caller, as the policies of now show it',
      params: z.object({ response_id: responseIdSchema }),
      querystring: z.strictObject({
        stream: z
          .literal('false', 'a response that is kept is not streamed again: ask for it without `stream`')
          .optional()
          .describe('Only false.'),
      }),
      response: answers(responseSchema),
    },
    preValidation: ignoreInclude,
    handler: async (request) => {
      const { context, policy } = tenantOf(request);
      const { response_id: id } = request.params;
      const { output, fields } = await responses.get(context, id, keptSince(policy.config, now()));
      const shown = await showFields(fields, request, services);
      return responseSchema.parse({ ...shown, id, output: await showItems(output, request, services) });
    },
  });
};
