import { z } from 'zod';
import { tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { createdApiKeySchema } from '#app/schemas/api-key.ts';
import { pageOf } from '#app/schemas/page.ts';

/** Programs have keys of the role `service`, and are no members. */
export const MEMBER_ROLES = ['admin', 'member'] as const;
export const memberRoleSchema = z
  .enum(MEMBER_ROLES)
  .describe('`member` asks and uploads for oneself; `admin` administers the tenant as well.');
export type MemberRole = z.infer<typeof memberRoleSchema>;

/** A user as a tenant lists them. `removed`: no credential of theirs is taken. */
export const memberSchema = z.object({
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  role: memberRoleSchema,
  status: z.enum(['active', 'removed']),
  invited_by: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
});
export type Member = z.infer<typeof memberSchema>;
export const memberPageSchema = pageOf(memberSchema);

/** `POST /admin/tenants/:tenant_id/members`. */
export const addMemberSchema = z.strictObject({
  user_id: userIdSchema,
  role: memberRoleSchema.default('member'),
});

/** `PATCH /admin/tenants/:tenant_id/members/:user_id`. */
export const changeMemberSchema = z.strictObject({ role: memberRoleSchema });

export const invitationIdSchema = z
  .string()
  .regex(/^[0-9a-z]{26}$/, 'must be the 26 characters of its id')
  .describe('As the list of invitations names it.');

/** An invitation as it is listed: everything but its token, which is stored nowhere. */
export const invitationSchema = z.object({
  invitation_id: invitationIdSchema,
  tenant_id: tenantIdSchema,
  role: memberRoleSchema,
  user_id: userIdSchema.nullable(),
  email: z.string().nullable(),
  invited_by: z.string(),
  created_at: z.string(),
  expires_at: z.string(),
  accepted_at: z.string().nullable(),
  accepted_by: z.string().nullable(),
  revoked_at: z.string().nullable(),
});
export type Invitation = z.infer<typeof invitationSchema>;
export const invitationPageSchema = pageOf(invitationSchema);

const DAY_SECONDS = 86_400;

/** `POST /admin/tenants/:tenant_id/members/invitations`. */
export const inviteSchema = z.strictObject({
  role: memberRoleSchema.default('member'),
  /** Who is to come. Absent: whoever accepts must have a credential that says who they are. */
  user_id: userIdSchema.optional(),
  email: z.email().max(254).optional().describe('A note of where it was sent; it decides nothing.'),
  expires_in_seconds: z
    .int()
    .min(60)
    .max(30 * DAY_SECONDS)
    .default(7 * DAY_SECONDS)
    .describe('How long it can be accepted.'),
});

export const createdInvitationSchema = invitationSchema.extend({ token: z.string() });
export type CreatedInvitation = z.infer<typeof createdInvitationSchema>;

/** `POST /admin/tenants/:tenant_id/members/accept`. */
export const acceptInvitationSchema = z.strictObject({
  token: z.string().min(1).max(200).describe('What the invitation was created with.'),
});

export const acceptedInvitationSchema = z.object({
  member: memberSchema,
  /** For whom the invitation named: shown this once. null for those who came with a credential. */
  api_key: createdApiKeySchema.nullable(),
});
export type AcceptedInvitation = z.infer<typeof acceptedInvitationSchema>;
