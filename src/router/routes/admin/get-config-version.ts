import { storedConfigVersionSchema } from '#app/schemas/config-version.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, versionParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/tenants/:tenant_id/config/versions/:version` */
export const getConfigVersion: Endpoint = (app, { configHistory, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id/config/versions/:version',
    schema: {
      ...TAGS.admin,
      summary: 'One version of a tenant’s config, as it was stored',
      params: versionParamsSchema,
      response: adminAnswers(storedConfigVersionSchema),
    },
    handler: async (request) => {
      const { tenant_id: tenantId, version } = request.params;
      administratorOf(request, tenantId);
      await tenants.get(tenantId);
      return configHistory.get(tenantId, version);
    },
  });
};
