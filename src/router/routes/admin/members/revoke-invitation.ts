import { invitationSchema } from '#app/schemas/member.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { invitationParamsSchema } from '#router/routes/admin/members/member-access.ts';
import { administratorOf } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `DELETE /admin/tenants/:tenant_id/members/invitations/:invitation_id` */
export const revokeInvitation: Endpoint = (app, { invitations }) => {
  app.route({
    method: 'DELETE',
    url: '/admin/tenants/:tenant_id/members/invitations/:invitation_id',
    schema: {
      ...TAGS.admin,
      summary: 'Take an invitation back',
      params: invitationParamsSchema,
      response: adminAnswers(invitationSchema),
    },
    handler: async (request) => {
      const { tenant_id: tenantId, invitation_id: id } = request.params;
      const principal = administratorOf(request, tenantId);
      return invitations.revoke(tenantId, id, authorOf(principal));
    },
  });
};
