import { priceListSchema } from '#app/schemas/price.ts';
import type { Endpoint } from '#router/router-services.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/prices` */
export const listPrices: Endpoint = (app, { prices }) => {
  app.route({
    method: 'GET',
    url: '/admin/prices',
    schema: {
      ...TAGS.admin,
      summary: 'Every price of every model, the latest first',
      response: adminAnswers(priceListSchema),
    },
    handler: async () => ({ object: 'list' as const, data: await prices.list() }),
  });
};
