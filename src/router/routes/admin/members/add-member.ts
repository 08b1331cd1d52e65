import { addMemberSchema, memberSchema } from '#app/schemas/member.ts';
import { refuseStrongerMember } from '#router/identity/grants.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { administratorOf, tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `POST /admin/tenants/:tenant_id/members` */
export const addMember: Endpoint = (app, { members, onMembersChanged }) => {
  app.route({
    method: 'POST',
    url: '/admin/tenants/:tenant_id/members',
    schema: {
      ...TAGS.admin,
      summary: 'Make a user a member at once',
      description: 'For users whom an issuer names already. Of somebody who was removed, keys stay revoked.',
      params: tenantParamsSchema,
      body: addMemberSchema,
      response: adminAnswers(memberSchema, 201),
    },
    handler: async (request, reply) => {
      const { tenant_id: tenantId } = request.params;
      const { user_id: userId, role } = request.body;
      const principal = administratorOf(request, tenantId);
      refuseStrongerMember(role, principal);
      const member = await members.add({ tenantId, userId, role, author: authorOf(principal) });
      onMembersChanged(tenantId, []);
      return reply.status(201).send(member);
    },
  });
};
