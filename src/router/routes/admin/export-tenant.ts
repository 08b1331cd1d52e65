import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { Scope } from '#app/tenant-context.ts';
import { principalOf, stateOf } from '#router/http/request-state.ts';
import { authorOf, type Principal } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { tenantAsked, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminProblems } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** What an archive holds, and its readers need elsewhere: documents, conversations, usage. */
const SCOPES: readonly Scope[] = ['vault:read', 'conversations', 'usage:read'];

/** A key that administers, and may read nothing, must not read everything by way of an archive. */
function refuseNarrow(principal: Principal): void {
  if (principal.kind === 'operator') return;
  const missing = SCOPES.find((scope) => !principal.context.scopes.includes(scope));
  if (missing === undefined) return;
  throw new BulkheadError(
    'missing_scope',
    `The credential lacks the scope ${missing}: an archive holds what goes with it.`,
    { refusal: { policy: 'scopes' } },
  );
}

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
        'uploaded), `checksums/`, and last `manifest.json` with counts. An archive without its manifest was cut off. A tenant’s own ' +
        'credential needs the scopes of all that it holds: `vault:read`, `conversations`, `usage:read`.',
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
      refuseNarrow(principalOf(request));
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
