import { policyDryRunRequestSchema, policyDryRunSchema } from '#app/schemas/policy-dry-run.ts';
import { principalOf, stateOf } from '#router/http/request-state.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { refuseOperatorFields, tenantAsked } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /admin/policy/dry-run` */
export const dryRunPolicy: Endpoint = (app, { dryRun, tenants }) => {
  app.route({
    method: 'POST',
    url: '/admin/policy/dry-run',
    schema: {
      ...TAGS.admin,
      summary: 'What a change of a tenant’s config would have done to its recent requests',
      description:
        'Replays the request log under the draft, limits at the recorded times. Nothing is consumed, and nothing written ' +
        'but an event of the audit. Rules on texts need texts: requests whose bodies are not kept may be undecidable.',
      body: policyDryRunRequestSchema,
      response: adminAnswers(policyDryRunSchema),
    },
    handler: async (request) => {
      const { tenant_id, config, from, to, limit } = request.body;
      const context = await tenantAsked(request, tenant_id, tenants);
      const principal = principalOf(request);
      refuseOperatorFields(principal, config);
      return dryRun.run({
        context,
        author: authorOf(principal),
        patch: config,
        from: from === undefined ? null : new Date(from),
        to: to === undefined ? null : new Date(to),
        limit,
        signal: stateOf(request).signal,
      });
    },
  });
};
