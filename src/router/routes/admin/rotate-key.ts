import { createdApiKeySchema, rotateApiKeySchema } from '#app/schemas/api-key.ts';
import { refuseStronger } from '#router/identity/grants.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, keyParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /admin/tenants/:tenant_id/keys/:key_id/rotate` */
export const rotateKey: Endpoint = (app, { apiKeys, now }) => {
  app.route({
    method: 'POST',
    url: '/admin/tenants/:tenant_id/keys/:key_id/rotate',
    schema: {
      ...TAGS.admin,
      summary: 'Give a key a new secret; the whole key is shown this once',
      description:
        'The old secret is taken for `overlap_seconds` more, by default not at all. A secret that an earlier rotation ' +
        'left alive ends now.',
      params: keyParamsSchema,
      body: rotateApiKeySchema,
      response: adminAnswers(createdApiKeySchema),
    },
    handler: async (request) => {
      const { tenant_id, key_id } = request.params;
      const { overlap_seconds: overlap } = request.body;
      const principal = administratorOf(request, tenant_id);
      refuseStronger(await apiKeys.get(tenant_id, key_id), principal);
      return apiKeys.rotate({
        tenantId: tenant_id,
        keyId: key_id,
        previousUntil: overlap === 0 ? null : new Date(now() + overlap * 1_000),
        author: authorOf(principal),
      });
    },
  });
};
