import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { pageOf } from '#app/schemas/page.ts';

/** What is audited: changes by administrators, and requests that were denied. */
export const AUDIT_ACTIONS = [
  'tenant.created',
  'tenant.changed',
  'tenant.exported',
  'policy.dry_run',
  'tenant.erasure_started',
  'tenant.erased',
  'key.created',
  'key.rotated',
  'key.revoked',
  'member.added',
  'member.invited',
  'member.joined',
  'member.changed',
  'member.removed',
  'invitation.revoked',
  'prices.added',
  'request.denied',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** Facts beside an event: ids, names of fields, counts. Never a secret, and never text of a message. */
export const auditDetailsSchema = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string())]),
);
export type AuditDetails = z.infer<typeof auditDetailsSchema>;

const hashSchema = z.string().regex(/^[0-9a-f]{64}$/);

/** One link of a chain. `hash` is SHA-256 over everything else in it; `previous_hash` is the hash before it. */
export const auditEventSchema = z.object({
  /** 1, 2, 3, … within its chain. */
  seq: z.int().positive(),
  at: z.string(),
  /** `operator:<key id>`, `<tenant>/<user>`, `anonymous`, or `bulkhead` for the platform itself. */
  actor: z.string(),
  tenant_id: tenantIdSchema.nullable(),
  action: z.enum(AUDIT_ACTIONS),
  /** What was acted on: a key's id, or the method and route of a request. */
  target: z.string().nullable(),
  outcome: z.enum(['done', 'denied']),
  details: auditDetailsSchema,
  previous_hash: hashSchema,
  hash: hashSchema,
});
export type AuditEvent = z.infer<typeof auditEventSchema>;

export const auditPageSchema = pageOf(auditEventSchema);

/** What a check of a whole chain found. */
export const auditVerificationSchema = z.object({
  /** null: the operators' own chain. */
  tenant_id: tenantIdSchema.nullable(),
  valid: z.boolean(),
  /** Events that the chain says it has. */
  events: z.int().nonnegative(),
  /** Note it down elsewhere: a later chain must still contain it. */
  head_hash: hashSchema,
  /** The first link that does not hold. */
  broken: z
    .object({
      seq: z.int().positive(),
      /** `missing`: no such event. `link`: it follows another event. `content`: it was changed. `head`: the chain ends otherwise. */
      reason: z.enum(['missing', 'link', 'content', 'head']),
    })
    .nullable(),
});
export type AuditVerification = z.infer<typeof auditVerificationSchema>;
