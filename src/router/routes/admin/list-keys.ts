import { apiKeyPageSchema } from '#app/schemas/api-key.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/tenants/:tenant_id/keys` */
export const listKeys: Endpoint = (app, { apiKeys, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id/keys',
    schema: {
      ...TAGS.admin,
      summary: 'A tenant’s keys, newest first, without their secrets',
      params: tenantParamsSchema,
      querystring: pageRequestSchema,
      response: adminAnswers(apiKeyPageSchema),
    },
    handler: async (request) => {
      const { tenant_id } = request.params;
      administratorOf(request, tenant_id);
      // Throws for a tenant that does not exist: an empty list would say that it does.
      await tenants.get(tenant_id);
      return apiKeys.list(tenant_id, request.query);
    },
  });
};
