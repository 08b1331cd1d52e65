import { requestLogPageSchema } from '#app/schemas/request-log.ts';
import type { Endpoint } from '#router/router-services.ts';
import { requestFilterOf, requestLogQuerySchema } from '#router/routes/admin/request-log-query.ts';
import { tenantAsked, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { pageRequestOf } from '#router/routes/usage/usage-query.ts';

/** `GET /admin/tenants/:tenant_id/requests` */
export const listRequests: Endpoint = (app, { requests, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id/requests',
    schema: {
      ...TAGS.admin,
      summary: 'A tenant’s requests with the explained decision, newest first',
      description:
        'Rows appear within a second or so, and go when they are older than `request_log.retention_days`. Under pressure ' +
        'rows may be missing here; the usage ledger has them all.',
      params: tenantParamsSchema,
      querystring: requestLogQuerySchema,
      response: adminAnswers(requestLogPageSchema),
    },
    handler: async (request) => {
      const context = await tenantAsked(request, request.params.tenant_id, tenants);
      return requests.list(context, requestFilterOf(request.query), pageRequestOf(request.query));
    },
  });
};
