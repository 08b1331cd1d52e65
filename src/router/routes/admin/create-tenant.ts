import { tenantSchema } from '#app/schemas/tenant.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { principalOf } from '#router/http/request-state.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { etagOf } from '#router/routes/admin/etag.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /admin/tenants` */
export const createTenant: Endpoint = (app, { tenants }) => {
  app.route({
    method: 'POST',
    url: '/admin/tenants',
    schema: {
      ...TAGS.operator,
      summary: 'Create a tenant',
      description:
        'The body is its config: `tenant_id`, `display_name`, and whatever is not to be the default.',
      body: tenantConfigSchema,
      response: adminAnswers(tenantSchema, 201),
    },
    handler: async (request, reply) => {
      const tenant = await tenants.create(request.body, authorOf(principalOf(request)));
      return reply
        .status(201)
        .header('etag', etagOf(tenant))
        .header('location', `/admin/tenants/${tenant.tenant_id}`)
        .send(tenant);
    },
  });
};
