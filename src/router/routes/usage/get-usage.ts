import { usageReportSchema } from '#app/schemas/usage.ts';
import { tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { pageRequestOf, usageFilterOf, usageQuerySchema } from '#router/routes/usage/usage-query.ts';

/** `GET /v1/usage` */
export const getUsage: Endpoint = (app, { usage }) => {
  app.route({
    method: 'GET',
    url: '/v1/usage',
    schema: {
      ...TAGS.usage,
      summary: 'The caller’s own requests: totals, totals by route, and rows, newest first',
      querystring: usageQuerySchema,
      response: answers(usageReportSchema),
    },
    handler: (request) =>
      usage.ofUser(tenantOf(request).context, usageFilterOf(request.query), pageRequestOf(request.query)),
  });
};
