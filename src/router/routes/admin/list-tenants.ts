import { pageRequestSchema, toPage } from '#app/schemas/page.ts';
import { tenantPageSchema } from '#app/schemas/tenant.ts';
import { principalOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/tenants` */
export const listTenants: Endpoint = (app, { tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants',
    schema: {
      ...TAGS.admin,
      summary: 'Tenants by id; a tenant admin sees its own',
      querystring: pageRequestSchema,
      response: adminAnswers(tenantPageSchema),
    },
    handler: async (request) => {
      const principal = principalOf(request);
      if (principal.kind === 'operator') return tenants.list(request.query);
      const own = await tenants.get(principal.context.tenantId);
      const isOnPage = request.query.after === undefined || own.tenant_id > request.query.after;
      return toPage(isOnPage ? [own] : [], request.query.limit, ({ tenant_id }) => tenant_id);
    },
  });
};
