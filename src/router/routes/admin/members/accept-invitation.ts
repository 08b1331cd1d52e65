import type { FastifyRequest } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId, UserId } from '#app/ids.ts';
import { acceptedInvitationSchema, acceptInvitationSchema } from '#app/schemas/member.ts';
import { stateOf } from '#router/http/request-state.ts';
import type { Authenticator } from '#router/identity/authenticator.ts';
import type { Endpoint } from '#router/router-services.ts';
import { tenantParamsSchema } from '#router/routes/admin/tenant-access.ts';
import { adminAnswers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

const MAX_BODY_BYTES = 4_096;

/** `POST /admin/tenants/:tenant_id/members/accept` */
export const acceptInvitation: Endpoint = (app, { invitations, authenticator, onMembersChanged }) => {
  app.route({
    method: 'POST',
    // Anybody may send it.
    bodyLimit: MAX_BODY_BYTES,
    url: '/admin/tenants/:tenant_id/members/accept',
    schema: {
      ...TAGS.admin,
      security: [{}, { apiKey: [] }, { jwt: [] }],
      summary: 'Accept an invitation; its token is the credential',
      description:
        'With a credential of the tenant, its user becomes the member. Without one the invitation must name the user, who gets an API key, shown this once.',
      params: tenantParamsSchema,
      body: acceptInvitationSchema,
      response: adminAnswers(acceptedInvitationSchema),
    },
    handler: async (request) => {
      const { tenant_id: tenantId } = request.params;
      const userId = await userAsking(request, tenantId, authenticator);
      const accepted = await invitations.accept({ tenantId, token: request.body.token, userId });
      onMembersChanged(tenantId, []);
      return accepted;
    },
  });
};

/** Who a credential that came along says is asking; null where none did. Throws for one that is no good here. */
async function userAsking(
  request: FastifyRequest,
  tenantId: TenantId,
  authenticator: Authenticator,
): Promise<UserId | null> {
  try {
    const principal = await authenticator.authenticate({
      headers: request.headers,
      rawHeaders: request.raw.rawHeaders,
      requestId: stateOf(request).requestId,
      socketAddress: request.socket.remoteAddress,
      mayBeStranger: true,
    });
    if (principal.kind === 'tenant' && principal.context.tenantId === tenantId)
      return principal.context.userId;
    throw new BulkheadError('invalid_credential', 'The credential is not one of the tenant.');
  } catch (error) {
    if (error instanceof BulkheadError && error.code === 'missing_credential') return null;
    throw error;
  }
}
