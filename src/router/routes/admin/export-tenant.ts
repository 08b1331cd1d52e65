import { z } from 'zod';
import { principalOf, stateOf } from '#router/http/request-state.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { tenantAsked, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminProblems } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /admin/tenants/:tenant_id/export` */
export const exportTenant: Endpoint = (app, { exporter, tenants }) => {
  app.route({
    method: 'POST',
    url: '/admin/tenants/:tenant_id/export',
    schema: {
      ...TAGS.admin,
      summary: 'Everything of a tenant, as an archive',
      description:
        'A gzipped tar, made as it is read: `tables/` (rows as JSON lines: config and its history, keys without what proves ' +
        'them, documents, conversations, messages, usage, audit, request log), `documents/` (the files as they were ' +
        'uploaded), `checksums/`, and last `manifest.json` with counts. An archive without its manifest was cut off.',
      params: tenantParamsSchema,
      response: {
        200: { description: 'The archive.', content: { 'application/gzip': { schema: z.any() } } },
        ...adminProblems,
      },
    },
    handler: async (request, reply) => {
      const { tenant_id } = request.params;
      const { signal, requestId } = stateOf(request);
      const context = await tenantAsked(request, tenant_id, tenants);
      const archive = await exporter.open({
        context,
        requestedBy: authorOf(principalOf(request)),
        requestId,
        signal,
      });
      return reply
        .type('application/gzip')
        .header('content-disposition', `attachment; filename="${tenant_id}.tar.gz"`)
        .send(archive);
    },
  });
};
