import { pageRequestSchema } from '#app/schemas/page.ts';
import { pricePageSchema } from '#app/schemas/price.ts';
import type { Endpoint } from '#router/router-services.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/prices` */
export const listPrices: Endpoint = (app, { prices }) => {
  app.route({
    method: 'GET',
    url: '/admin/prices',
    schema: {
      ...TAGS.operator,
      summary: 'Every price of every model, the one that was added last first',
      querystring: pageRequestSchema,
      response: adminAnswers(pricePageSchema),
    },
    handler: async (request) => prices.list(request.query),
  });
};
