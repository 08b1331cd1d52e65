import { tenantSchema } from '#app/schemas/tenant.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { etagOf, versionOfIfMatch } from '#router/routes/admin/etag.ts';
import {
  administratorOf,
  refuseOperatorFields,
  versionParamsSchema,
} from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /admin/tenants/:tenant_id/config/versions/:version/restore` */
export const restoreConfigVersion: Endpoint = (app, { tenants }) => {
  app.route({
    method: 'POST',
    url: '/admin/tenants/:tenant_id/config/versions/:version/restore',
    schema: {
      ...TAGS.admin,
      summary: 'Make an earlier version the newest one',
      description:
        'It becomes a version of its own; nothing of the history is lost. With `If-Match`, a config that was changed ' +
        'meanwhile is a 412. What only an operator changes, only an operator restores.',
      params: versionParamsSchema,
      response: adminAnswers(tenantSchema),
    },
    handler: async (request, reply) => {
      const { tenant_id: tenantId, version } = request.params;
      const principal = administratorOf(request, tenantId);
      const tenant = await tenants.restore({
        tenantId,
        version,
        author: authorOf(principal),
        expectedVersion: versionOfIfMatch(request.headers['if-match']),
        mayChange: (fields) => refuseOperatorFields(principal, fields),
      });
      return reply.header('etag', etagOf(tenant)).send(tenant);
    },
  });
};
