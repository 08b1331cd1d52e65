import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { createApiKeySchema, createdApiKeySchema } from '#app/schemas/api-key.ts';
import { limitsToGrant, scopesToGrant } from '#router/identity/grants.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /admin/tenants/:tenant_id/keys` */
export const createKey: Endpoint = (app, { apiKeys, now }) => {
  app.route({
    method: 'POST',
    url: '/admin/tenants/:tenant_id/keys',
    schema: {
      ...TAGS.admin,
      summary: 'Create an API key; the whole key is shown this once',
      description:
        'Only a hash of the secret is kept: a key that is lost is replaced. A key never grants more than its role, nor more than ' +
        'whoever creates it may.',
      params: tenantParamsSchema,
      body: createApiKeySchema,
      response: adminAnswers(createdApiKeySchema, 201),
    },
    handler: async (request, reply) => {
      const { tenant_id } = request.params;
      const { role, user_id, name, expires_at, collections = null } = request.body;
      const principal = administratorOf(request, tenant_id);
      const expiresAt = expires_at === undefined ? null : new Date(expires_at);
      if (expiresAt !== null && expiresAt.getTime() <= now()) {
        throw new BulkheadError('invalid_request', 'expires_at: must be in the future', {
          param: 'expires_at',
        });
      }
      const created = await apiKeys.create({
        tenantId: tenant_id,
        userId: user_id,
        role,
        scopes: scopesToGrant(request.body, principal),
        name: name ?? `${role} ${user_id}`,
        expiresAt,
        collections,
        ...limitsToGrant(request.body, principal),
        author: authorOf(principal),
      });
      return reply.status(201).send(created);
    },
  });
};
