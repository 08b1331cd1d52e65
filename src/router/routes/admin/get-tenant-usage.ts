import { usageReportSchema } from '#app/schemas/usage.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { pageRequestOf, tenantUsageQuerySchema, usageFilterOf } from '#router/routes/usage/usage-query.ts';

/** `GET /admin/tenants/:tenant_id/usage` */
export const getTenantUsage: Endpoint = (app, { usage, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id/usage',
    schema: {
      ...TAGS.admin,
      summary: 'A tenant’s requests: totals, totals by route, and rows, newest first',
      params: tenantParamsSchema,
      querystring: tenantUsageQuerySchema,
      response: adminAnswers(usageReportSchema),
    },
    handler: async (request) => {
      const { tenant_id } = request.params;
      administratorOf(request, tenant_id);
      await tenants.get(tenant_id);
      return usage.ofTenant(tenant_id, usageFilterOf(request.query), pageRequestOf(request.query));
    },
  });
};
