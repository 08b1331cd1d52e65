import { newPricesSchema, priceListSchema } from '#app/schemas/price.ts';
import { principalOf } from '#router/http/request-state.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `PUT /admin/prices` */
export const addPrices: Endpoint = (app, { prices }) => {
  app.route({
    method: 'PUT',
    url: '/admin/prices',
    schema: {
      ...TAGS.operator,
      summary: 'Set what models cost from a time on; in effect within 5 seconds on every router',
      description:
        'A price is never changed: a later one takes its place, and what was used before keeps the price that it had. ' +
        '`*` is every model without a price of its own; without it the prices of the settings are used.',
      body: newPricesSchema,
      response: adminAnswers(priceListSchema),
    },
    handler: async (request) => ({
      object: 'list' as const,
      data: await prices.add(request.body.prices, authorOf(principalOf(request))),
    }),
  });
};
