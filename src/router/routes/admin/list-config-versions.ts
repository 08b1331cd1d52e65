import { configVersionPageSchema } from '#app/schemas/config-version.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/tenants/:tenant_id/config/versions` */
export const listConfigVersions: Endpoint = (app, { configHistory, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id/config/versions',
    schema: {
      ...TAGS.admin,
      summary: 'The versions of a tenant’s config, newest first: who made each, and when',
      params: tenantParamsSchema,
      querystring: pageRequestSchema,
      response: adminAnswers(configVersionPageSchema),
    },
    handler: async (request) => {
      const { tenant_id: tenantId } = request.params;
      administratorOf(request, tenantId);
      await tenants.get(tenantId);
      return configHistory.list(tenantId, request.query);
    },
  });
};
