import { auditPageSchema } from '#app/schemas/audit-event.ts';
import type { Endpoint } from '#router/router-services.ts';
import { auditQuerySchema, chainAskedFor } from '#router/routes/admin/audit-query.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { pageRequestOf } from '#router/routes/usage/usage-query.ts';

/** `GET /admin/audit` */
export const listAudit: Endpoint = (app, { audit, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/audit',
    schema: {
      ...TAGS.admin,
      summary: 'Administrators’ actions and denied requests of a tenant, newest first',
      description:
        'Without `tenant_id`: an operator sees what belongs to no tenant, a tenant admin its own tenant. `after` is ' +
        'the `seq` of the last event seen. Denials that repeat are one event with a count.',
      querystring: auditQuerySchema,
      response: adminAnswers(auditPageSchema),
    },
    handler: async (request) => {
      const { tenant_id, action } = request.query;
      const { reader, tenantId } = await chainAskedFor(request, tenant_id, tenants);
      return audit.list(reader, tenantId, { action: action ?? null }, pageRequestOf(request.query));
    },
  });
};
