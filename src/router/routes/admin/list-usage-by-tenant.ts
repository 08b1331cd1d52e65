import { notFound } from '#app/errors/bulkhead-error.ts';
import { tenantIdSchema } from '#app/ids.ts';
import { tenantUsageSchema } from '#app/schemas/usage.ts';
import { principalOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { pageRequestOf, usageByTenantQuerySchema, usageFilterOf } from '#router/routes/usage/usage-query.ts';

/** `GET /admin/usage` */
export const listUsageByTenant: Endpoint = (app, { usage, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/usage',
    schema: {
      ...TAGS.admin,
      summary: 'Totals by tenant, by tenant id; a tenant admin sees its own',
      querystring: usageByTenantQuerySchema,
      response: adminAnswers(tenantUsageSchema),
    },
    handler: async (request) => {
      const { tenant_id: asked } = request.query;
      const principal = principalOf(request);
      const filter = usageFilterOf(request.query);
      const page = pageRequestOf(request.query);
      if (asked === undefined) {
        const own = principal.kind === 'tenant' ? principal.context.tenantId : null;
        return usage.byTenant(own, filter, page);
      }
      const tenantId = tenantIdSchema.safeParse(asked);
      if (!tenantId.success) throw notFound('tenant');
      administratorOf(request, tenantId.data);
      await tenants.get(tenantId.data);
      return usage.byTenant(tenantId.data, filter, page);
    },
  });
};
