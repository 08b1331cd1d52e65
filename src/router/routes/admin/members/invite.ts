import { createdInvitationSchema, inviteSchema } from '#app/schemas/member.ts';
import { refuseStrongerMember } from '#router/identity/grants.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /admin/tenants/:tenant_id/members/invitations` */
export const invite: Endpoint = (app, { invitations, now }) => {
  app.route({
    method: 'POST',
    url: '/admin/tenants/:tenant_id/members/invitations',
    schema: {
      ...TAGS.admin,
      summary: 'Invite somebody; the token is shown this once',
      description: 'Nothing is sent: give the token to whom it is for. It works once, until it ends.',
      params: tenantParamsSchema,
      body: inviteSchema,
      response: adminAnswers(createdInvitationSchema, 201),
    },
    handler: async (request, reply) => {
      const { tenant_id: tenantId } = request.params;
      const { role, user_id, email, expires_in_seconds: seconds } = request.body;
      const principal = administratorOf(request, tenantId);
      refuseStrongerMember(role, principal);
      const invitation = await invitations.create({
        tenantId,
        role,
        userId: user_id ?? null,
        email: email ?? null,
        expiresAt: new Date(now() + seconds * 1_000),
        author: authorOf(principal),
      });
      return reply.status(201).send(invitation);
    },
  });
};
