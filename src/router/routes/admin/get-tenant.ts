import { tenantSchema } from '#app/schemas/tenant.ts';
import type { Endpoint } from '#router/router-services.ts';
import { etagOf } from '#router/routes/admin/etag.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/tenants/:tenant_id` */
export const getTenant: Endpoint = (app, { tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id',
    schema: {
      ...TAGS.admin,
      summary: 'A tenant and its config',
      params: tenantParamsSchema,
      response: adminAnswers(tenantSchema),
    },
    handler: async (request, reply) => {
      const { tenant_id } = request.params;
      administratorOf(request, tenant_id);
      const tenant = await tenants.get(tenant_id);
      return reply.header('etag', etagOf(tenant)).send(tenant);
    },
  });
};
