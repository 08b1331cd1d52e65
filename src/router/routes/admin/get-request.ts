import { z } from 'zod';
import { requestIdSchema } from '#app/ids.ts';
import { requestLogDetailSchema } from '#app/schemas/request-log.ts';
import type { Endpoint } from '#router/router-services.ts';
import { tenantAsked, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/tenants/:tenant_id/requests/:request_id` */
export const getRequest: Endpoint = (app, { requests, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id/requests/:request_id',
    schema: {
      ...TAGS.admin,
      summary: 'One request with the explained decision, and its redacted texts where the tenant keeps them',
      params: z.object({ ...tenantParamsSchema.shape, request_id: requestIdSchema }),
      response: adminAnswers(requestLogDetailSchema),
    },
    handler: async (request) => {
      const { tenant_id, request_id } = request.params;
      const context = await tenantAsked(request, tenant_id, tenants);
      return requests.get(context, request_id);
    },
  });
};
