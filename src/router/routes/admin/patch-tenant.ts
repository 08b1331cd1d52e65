import { tenantSchema } from '#app/schemas/tenant.ts';
import { tenantConfigPatchSchema } from '#app/schemas/tenant-config.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { etagOf, versionOfIfMatch } from '#router/routes/admin/etag.ts';
import {
  administratorOf,
  refuseOperatorFields,
  tenantParamsSchema,
} from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `PATCH /admin/tenants/:tenant_id` */
export const patchTenant: Endpoint = (app, { tenants }) => {
  app.route({
    method: 'PATCH',
    url: '/admin/tenants/:tenant_id',
    schema: {
      ...TAGS.admin,
      summary: 'Change a tenant’s config; in effect within 2 seconds on every router',
      description:
        'Objects are merged, lists replaced. With `If-Match`, a config that was changed meanwhile is a 412. ' +
        'What a tenant is entitled to (routes, models, limits, budget, storage, weight, identity, enabled) only an operator changes.',
      params: tenantParamsSchema,
      body: tenantConfigPatchSchema,
      response: adminAnswers(tenantSchema),
    },
    handler: async (request, reply) => {
      const { tenant_id } = request.params;
      const principal = administratorOf(request, tenant_id);
      refuseOperatorFields(principal, request.body);
      const tenant = await tenants.patch({
        tenantId: tenant_id,
        patch: request.body,
        author: authorOf(principal),
        expectedVersion: versionOfIfMatch(request.headers['if-match']),
      });
      return reply.header('etag', etagOf(tenant)).send(tenant);
    },
  });
};
