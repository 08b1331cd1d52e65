import { auditVerificationSchema } from '#app/schemas/audit-event.ts';
import { stateOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { auditChainQuerySchema, chainAskedFor } from '#router/routes/admin/audit-query.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/audit/verify` */
export const verifyAudit: Endpoint = (app, { audit, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/audit/verify',
    schema: {
      ...TAGS.admin,
      summary: 'Compute the hashes of an audit chain anew; names the first link that does not hold',
      querystring: auditChainQuerySchema,
      response: adminAnswers(auditVerificationSchema),
    },
    handler: async (request) => {
      const { reader, tenantId } = await chainAskedFor(request, request.query.tenant_id, tenants);
      return audit.verify(reader, tenantId, stateOf(request).signal);
    },
  });
};
