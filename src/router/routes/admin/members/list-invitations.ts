import { invitationPageSchema } from '#app/schemas/member.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /admin/tenants/:tenant_id/members/invitations` */
export const listInvitations: Endpoint = (app, { invitations, tenants }) => {
  app.route({
    method: 'GET',
    url: '/admin/tenants/:tenant_id/members/invitations',
    schema: {
      ...TAGS.admin,
      summary: 'A tenant’s invitations, newest first, without their tokens',
      params: tenantParamsSchema,
      querystring: pageRequestSchema,
      response: adminAnswers(invitationPageSchema),
    },
    handler: async (request) => {
      const { tenant_id: tenantId } = request.params;
      administratorOf(request, tenantId);
      await tenants.get(tenantId);
      return invitations.list(tenantId, request.query);
    },
  });
};
