import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { tenantIdSchema } from '#app/ids.ts';
import { principalOf } from '#router/http/request-state.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

export const eraseTenantSchema = z.strictObject({
  confirm: z.string().describe('The tenant’s id once more.'),
});
export const erasedTenantSchema = z.object({ tenant_id: tenantIdSchema, status: z.literal('erased') });

/** `DELETE /admin/tenants/:tenant_id` */
export const eraseTenant: Endpoint = (app, { eraser }) => {
  app.route({
    method: 'DELETE',
    url: '/admin/tenants/:tenant_id',
    schema: {
      ...TAGS.operator,
      summary: 'Erase a tenant and everything of it; there is no way back',
      description:
        'Documents, index, conversations, keys, usage, configs and its audit. The tenant is gone for its users at once; ' +
        'the answer comes when nothing is left. What a crash or an error cuts off goes on by itself. The id is not given out again.',
      params: tenantParamsSchema,
      body: eraseTenantSchema,
      response: adminAnswers(erasedTenantSchema),
    },
    handler: async (request) => {
      const { tenant_id } = request.params;
      if (request.body.confirm !== tenant_id) {
        throw new BulkheadError('invalid_request', 'confirm: must be the tenant’s id', { param: 'confirm' });
      }
      await eraser.erase(tenant_id, authorOf(principalOf(request)));
      return { tenant_id, status: 'erased' as const };
    },
  });
};
