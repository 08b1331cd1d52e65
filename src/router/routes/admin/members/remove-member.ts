import { memberSchema } from '#app/schemas/member.ts';
import { authorOf } from '#router/identity/principal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { memberParamsSchema, refuseSelf } from '#router/routes/admin/members/member-access.ts';
import { administratorOf } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `DELETE /admin/tenants/:tenant_id/members/:user_id` */
export const removeMember: Endpoint = (app, { members, onMembersChanged, forgetResponses, logger }) => {
  app.route({
    method: 'DELETE',
    url: '/admin/tenants/:tenant_id/members/:user_id',
    schema: {
      ...TAGS.admin,
      summary: 'Remove a user; no credential of theirs is taken any more, on any router within 5 seconds',
      description:
        'Revokes all the user’s keys and refuses their tokens, listed or not. Documents and conversations stay; responses that are kept for them go.',
      params: memberParamsSchema,
      response: adminAnswers(memberSchema),
    },
    handler: async (request) => {
      const { tenant_id: tenantId, user_id: userId } = request.params;
      const principal = administratorOf(request, tenantId);
      refuseSelf(principal, userId);
      const { member, revokedKeyIds } = await members.remove({
        tenantId,
        userId,
        author: authorOf(principal),
      });
      onMembersChanged(tenantId, revokedKeyIds);
      // The user is removed; what could not be deleted now is within the hour.
      await forgetResponses(tenantId, userId).catch((error: unknown) => {
        logger.warn(
          { event: 'responses_kept', tenant_id: tenantId, err: error },
          'the responses of a removed user are deleted later',
        );
      });
      return member;
    },
  });
};
