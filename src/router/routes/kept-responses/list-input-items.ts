import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { responseIdSchema } from '#app/ids.ts';
import { pageOf, pageRequestSchema, toPage } from '#app/schemas/page.ts';
import { tenantOf } from '#router/http/request-state.ts';
import { inputItemSchema } from '#router/responses/kept/kept-response.ts';
import { keptSince } from '#router/responses/kept/kept-since.ts';
import { showItems } from '#router/responses/kept/show-kept.ts';
import type { Endpoint } from '#router/router-services.ts';
import { ignoreInclude } from '#router/routes/kept-responses/ignore-include.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

export const inputItemPageSchema = pageOf(inputItemSchema);

/** `GET /v1/responses/:response_id/input_items` */
export const listInputItems: Endpoint = (app, services) => {
  const { responses, responseHistory, now } = services;
  app.route({
    method: 'GET',
    url: '/v1/responses/:response_id/input_items',
    schema: {
      ...TAGS.conversations,
      summary: 'The items that a response was asked with, as the policies of now show them',
      description:
        'Its own: those of the responses before it are theirs. Items that it referred to are shown where they are still kept.',
      params: z.object({ response_id: responseIdSchema }),
      querystring: z.strictObject({
        limit: pageRequestSchema.shape.limit,
        order: z.enum(['asc', 'desc']).default('desc').describe('`asc`: oldest first.'),
        after: z
          .string()
          .max(128)
          .optional()
          .describe('`last_id` of the page before; absent: the first page.'),
      }),
      response: answers(inputItemPageSchema),
    },
    preValidation: ignoreInclude,
    handler: async (request) => {
      const { context, policy } = tenantOf(request);
      const { limit, order, after } = request.query;
      const since = keptSince(policy.config, now());
      const { input } = await responses.get(context, request.params.response_id, since);
      const items = order === 'asc' ? input : input.toReversed();
      const from = after === undefined ? 0 : items.findIndex(({ id }) => id === after) + 1;
      if (after !== undefined && from === 0) {
        throw new BulkheadError('invalid_request', 'after: must be an item of this list', { param: 'after' });
      }
      const page = toPage(items.slice(from, from + limit + 1), limit, ({ id }) => id);
      const found = await responseHistory.referred(context, page.data, since);
      return { ...page, data: await showItems(found, request, services) };
    },
  });
};
