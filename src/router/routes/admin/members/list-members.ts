import { memberPageSchema } from '#app/schemas/member.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/tenants/:tenant_id/members` */
export const listMembers: Endpoint = (app, { members, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id/members',
    schema: {
      ...TAGS.admin,
      summary: 'A tenant’s members, and who was removed, by user id',
      params: tenantParamsSchema,
      querystring: pageRequestSchema,
      response: adminAnswers(memberPageSchema),
    },
    handler: async (request) => {
      const { tenant_id: tenantId } = request.params;
      administratorOf(request, tenantId);
      // Throws for a tenant that does not exist: an empty list would say that it does.
      await tenants.get(tenantId);
      return members.list(tenantId, request.query);
    },
  });
};
