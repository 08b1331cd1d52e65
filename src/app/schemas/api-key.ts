import { z } from 'zod';
import { tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { addressRangeSchema } from '#app/schemas/address-range.ts';
import { collectionSchema } from '#app/schemas/collection.ts';
import { pageOf } from '#app/schemas/page.ts';
import { timeSchema } from '#app/schemas/time.ts';
import { SCOPES, TENANT_ROLES } from '#app/tenant-context.ts';

/** The public half of an API key `bk_<id>_<secret>`. */
export const keyIdSchema = z
  .string()
  .regex(/^[0-9a-z]{26}$/, 'must be the 26 characters of a key id')
  .describe('The id of a key: the 26 characters after `bk_`.');

/** An operator's key belongs to no tenant. */
export const keyRoleSchema = z.enum([...TENANT_ROLES, 'operator']);
export type KeyRole = z.infer<typeof keyRoleSchema>;

/** An API key as it is listed: everything but its secret, which is stored nowhere. */
export const apiKeySchema = z.object({
  key_id: keyIdSchema,
  tenant_id: tenantIdSchema.nullable(),
  user_id: userIdSchema.nullable(),
  role: keyRoleSchema,
  scopes: z.array(z.enum(SCOPES)),
  /** Names of `GET /v1/models` that it may use; null: all that the tenant may. */
  models: z.array(z.string()).nullable(),
  /** Where it may be used from; null: anywhere. */
  ip_ranges: z.array(z.string()).nullable(),
  /** Collections of documents that it may use; null: all. */
  collections: z.array(z.string()).nullable(),
  name: z.string(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  rotated_at: z.string().nullable(),
  /** Until when the secret before the last rotation is taken too. */
  previous_secret_until: z.string().nullable(),
  /** To the minute, roughly. */
  last_used_at: z.string().nullable(),
});
export type ApiKey = z.infer<typeof apiKeySchema>;

/** `POST /admin/tenants/:tenant_id/keys`. */
export const createApiKeySchema = z.strictObject({
  role: z.enum(TENANT_ROLES).default('member').describe('What the key is for; it bounds the scopes.'),
  user_id: userIdSchema.describe(
    'Whom the key speaks for: private documents and conversations are this user’s.',
  ),
  scopes: z
    .array(z.enum(SCOPES))
    .min(1)
    .max(SCOPES.length)
    .optional()
    .describe('Absent: all that the role may have, as far as the caller has it too.'),
  models: z
    .array(z.string().min(1).max(200))
    .min(1)
    .max(100)
    .optional()
    .describe('The models that it may use; absent: as the caller’s own key.'),
  ip_ranges: z
    .array(addressRangeSchema)
    .min(1)
    .max(50)
    .optional()
    .describe('Where it may be used from; absent: as the caller’s own key.'),
  collections: z
    .array(collectionSchema)
    .min(1)
    .max(100)
    .optional()
    .describe(
      'Collections of documents that it may use; absent: all. A key with a list administers nothing.',
    ),
  name: z
    .string()
    .trim()
    .min(1)
    .max(100)
    .optional()
    .describe('What lists call it; absent: its role and user.'),
  expires_at: timeSchema.optional().describe('From when it is refused; absent: never.'),
});
export type CreateApiKey = z.infer<typeof createApiKeySchema>;

/** The longest that an old secret may live on beside a new one. */
export const MAX_OVERLAP_SECONDS = 7 * 24 * 3_600;

/** `POST /admin/tenants/:tenant_id/keys/:key_id/rotate`. */
export const rotateApiKeySchema = z.strictObject({
  overlap_seconds: z
    .int()
    .min(0)
    .max(MAX_OVERLAP_SECONDS)
    .default(0)
    .describe('How long the old secret is taken beside the new one.'),
});

/** The answer to a creation and to a rotation: the only time that the whole key is shown. */
export const createdApiKeySchema = apiKeySchema.extend({ api_key: z.string() });
export type CreatedApiKey = z.infer<typeof createdApiKeySchema>;

export const apiKeyPageSchema = pageOf(apiKeySchema);
