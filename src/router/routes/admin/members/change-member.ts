import { changeMemberSchema, memberSchema } from '#app/schemas/member.ts';
import { refuseStrongerMember } from '#router/identity/grants.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { memberParamsSchema, refuseSelf } from '#router/routes/admin/members/member-access.ts';
import { administratorOf } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `PATCH /admin/tenants/:tenant_id/members/:user_id` */
export const changeMember: Endpoint = (app, { members, onMembersChanged }) => {
  app.route({
    method: 'PATCH',
    url: '/admin/tenants/:tenant_id/members/:user_id',
    schema: {
      ...TAGS.admin,
      summary: 'Change a member’s role',
      description: 'Keys of the role `admin` do no more than their user’s role, as long as it is lower.',
      params: memberParamsSchema,
      body: changeMemberSchema,
      response: adminAnswers(memberSchema),
    },
    handler: async (request) => {
      const { tenant_id: tenantId, user_id: userId } = request.params;
      const { role } = request.body;
      const principal = administratorOf(request, tenantId);
      refuseSelf(principal, userId);
      refuseStrongerMember(role, principal);
      const member = await members.changeRole({ tenantId, userId, role, author: authorOf(principal) });
      onMembersChanged(tenantId, []);
      return member;
    },
  });
};
