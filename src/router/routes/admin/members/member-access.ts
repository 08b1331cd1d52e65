import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { tenantIdSchema, type UserId, userIdSchema } from '#app/ids.ts';
import { invitationIdSchema } from '#app/schemas/member.ts';
import type { Principal } from '#router/identity/principal.ts';

export const memberParamsSchema = z.object({ tenant_id: tenantIdSchema, user_id: userIdSchema });
export const invitationParamsSchema = z.object({
  tenant_id: tenantIdSchema,
  invitation_id: invitationIdSchema,
});

/** Nobody locks oneself out by a slip, or edits the own role. */
export function refuseSelf(principal: Principal, userId: UserId): void {
  if (principal.kind === 'operator' || principal.context.userId !== userId) return;
  throw new BulkheadError('conflict', 'You cannot change your own membership. Ask another admin.', {
    param: 'user_id',
  });
}
