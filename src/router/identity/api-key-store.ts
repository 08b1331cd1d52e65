import type { Database, Row } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import type { TenantId, UserId } from '#app/ids.ts';
import { type ApiKey, apiKeySchema, type CreatedApiKey } from '#app/schemas/api-key.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import type { Scope, TenantRole } from '#app/tenant-context.ts';
import { appendEvents, type NewAuditEvent, PLATFORM_ACTOR } from '#router/audit/append-events.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';
import { formatApiKey, hmacOfSecret, newApiKey, parseApiKey } from '#router/identity/api-key.ts';

/** A key and what proves its secret; the hash never leaves identity. */
export type StoredApiKey = Readonly<{ key: ApiKey; secretHmac: Buffer }>;

export type NewApiKey = Readonly<{
  tenantId: TenantId;
  userId: UserId;
  role: TenantRole;
  scopes: readonly Scope[];
  name: string;
  expiresAt: Date | null;
  /** Who makes it, for the audit. Default: the platform itself. */
  author?: string;
}>;

export interface ApiKeyStore {
  /** Throws `not_found` for a tenant that does not exist. */
  create(key: NewApiKey): Promise<CreatedApiKey>;
  /** Makes the operator's key known, as settings give it, and revokes the ones that settings gave before. */
  registerOperatorKey(apiKey: string): Promise<ApiKey>;
  /** One answer an id, null for unknown ones. */
  findMany(keyIds: readonly string[]): Promise<(StoredApiKey | null)[]>;
  list(tenantId: TenantId, page: PageRequest): Promise<Page<ApiKey>>;
  get(tenantId: TenantId, keyId: string): Promise<ApiKey>;
  /** Revoking twice keeps the first time. */
  revoke(tenantId: TenantId, keyId: string, author?: string): Promise<ApiKey>;
  /** Told of every key that this process revokes, so that caches forget it at once. */
  onRevoked(listener: (keyId: string) => void): void;
}

const COLUMNS =
  'key_id, tenant_id, user_id, role, scopes, name, secret_hmac, created_at, expires_at, revoked_at';

/** API keys in the database. `pepper` is API_KEY_PEPPER: changing it makes every key invalid. */
export function createApiKeyStore(options: { database: Database; pepper: string }): ApiKeyStore {
  const { database, pepper } = options;
  const listeners: ((keyId: string) => void)[] = [];

  async function one(text: string, parameters: readonly unknown[]): Promise<ApiKey> {
    const [row] = await database.asSystem((transaction) => transaction.query(text, parameters));
    if (row === undefined) throw notFound('key');
    return toApiKey(row);
  }

  return {
    async create({ tenantId, userId, role, scopes, name, expiresAt, author = PLATFORM_ACTOR }) {
      const parts = newApiKey();
      const key = await database.asSystem(async (transaction) => {
        // The tenant is checked in the same statement: a key never outlives or precedes its tenant.
        const [row] = await transaction.query(
          `INSERT INTO bulkhead.api_keys (key_id, tenant_id, user_id, role, scopes, name, secret_hmac, expires_at)
           SELECT $1, tenant_id, $3, $4, ARRAY(SELECT jsonb_array_elements_text($5::jsonb)), $6, $7, $8
             FROM bulkhead.tenants
            WHERE tenant_id = $2
              AND NOT EXISTS (SELECT 1 FROM bulkhead.tenant_erasures WHERE tenant_id = $2)
           RETURNING ${COLUMNS}`,
          [
            parts.keyId,
            tenantId,
            userId,
            role,
            JSON.stringify(scopes),
            name,
            hmacOfSecret(pepper, parts.secret).toString('hex'),
            expiresAt,
          ],
        );
        if (row === undefined) throw notFound('tenant');
        const created = toApiKey(row);
        await appendEvents(transaction, tenantId, [eventOf('key.created', created, author)]);
        return created;
      });
      return { ...key, api_key: formatApiKey(parts) };
    },

    async registerOperatorKey(apiKey) {
      const parts = parseApiKey(apiKey);
      if (parts === null)
        throw new BulkheadError('invalid_request', 'OPERATOR_KEY is not shaped like a key.');
      return database.asSystem(async (transaction) => {
        const revoked = await transaction.query(
          `UPDATE bulkhead.api_keys SET revoked_at = now()
            WHERE role = 'operator' AND key_id <> $1 AND revoked_at IS NULL RETURNING ${COLUMNS}`,
          [parts.keyId],
        );
        const known = await transaction.query(
          `SELECT 1 FROM bulkhead.api_keys WHERE key_id = $1 AND role = 'operator' AND revoked_at IS NULL`,
          [parts.keyId],
        );
        const [row] = await transaction.query(
          `INSERT INTO bulkhead.api_keys (key_id, role, scopes, name, secret_hmac)
           VALUES ($1, 'operator', '{}', 'operator', $2)
           ON CONFLICT (key_id) DO UPDATE SET secret_hmac = excluded.secret_hmac, revoked_at = NULL
             WHERE api_keys.role = 'operator'
           RETURNING ${COLUMNS}`,
          [parts.keyId, hmacOfSecret(pepper, parts.secret).toString('hex')],
        );
        if (row === undefined) throw new BulkheadError('conflict', 'OPERATOR_KEY has the id of another key.');
        const key = toApiKey(row);
        const events = revoked.map((old) => eventOf('key.revoked', toApiKey(old), PLATFORM_ACTOR));
        if (known.length === 0) events.push(eventOf('key.created', key, PLATFORM_ACTOR));
        if (events.length > 0) await appendEvents(transaction, OPERATORS_CHAIN, events);
        return key;
      });
    },

    async findMany(keyIds) {
      const rows = await database.asSystem((transaction) =>
        transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.api_keys
            WHERE key_id IN (SELECT jsonb_array_elements_text($1::jsonb))`,
          [JSON.stringify(keyIds)],
        ),
      );
      const found = new Map(rows.map((row) => [String(row.key_id), toStored(row)]));
      return keyIds.map((keyId) => found.get(keyId) ?? null);
    },

    async list(tenantId, { limit, after }) {
      const rows = await database.asSystem((transaction) =>
        transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.api_keys
            WHERE tenant_id = $1 AND ($2::text IS NULL OR key_id < $2) ORDER BY key_id DESC LIMIT $3`,
          [tenantId, after ?? null, limit + 1],
        ),
      );
      return toPage(rows.map(toApiKey), limit, ({ key_id }) => key_id);
    },

    get: (tenantId, keyId) =>
      one(`SELECT ${COLUMNS} FROM bulkhead.api_keys WHERE tenant_id = $1 AND key_id = $2`, [tenantId, keyId]),

    async revoke(tenantId, keyId, author = PLATFORM_ACTOR) {
      const key = await database.asSystem(async (transaction) => {
        const [revoked] = await transaction.query(
          `UPDATE bulkhead.api_keys SET revoked_at = now()
            WHERE tenant_id = $1 AND key_id = $2 AND revoked_at IS NULL RETURNING ${COLUMNS}`,
          [tenantId, keyId],
        );
        if (revoked !== undefined) {
          const revokedKey = toApiKey(revoked);
          await appendEvents(transaction, tenantId, [eventOf('key.revoked', revokedKey, author)]);
          return revokedKey;
        }
        const [row] = await transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.api_keys WHERE tenant_id = $1 AND key_id = $2`,
          [tenantId, keyId],
        );
        if (row === undefined) throw notFound('key');
        return toApiKey(row);
      });
      for (const listener of listeners) listener(keyId);
      return key;
    },

    onRevoked(listener) {
      listeners.push(listener);
    },
  };
}

/** The key's name is left out: people write anything into names. */
const eventOf = (action: NewAuditEvent['action'], key: ApiKey, actor: string): NewAuditEvent => ({
  actor,
  tenantId: key.tenant_id,
  action,
  target: key.key_id,
  outcome: 'done',
  details: { role: key.role, user_id: key.user_id, scopes: key.scopes, expires_at: key.expires_at },
});

function toApiKey(row: Row): ApiKey {
  return apiKeySchema.parse({
    ...row,
    created_at: toIso(row.created_at),
    expires_at: toIso(row.expires_at),
    revoked_at: toIso(row.revoked_at),
  });
}

const toStored = (row: Row): StoredApiKey => ({
  key: toApiKey(row),
  secretHmac: Buffer.from(String(row.secret_hmac), 'hex'),
});

/** Both drivers give timestamps as Date. */
const toIso = (value: unknown): string | null => (value instanceof Date ? value.toISOString() : null);
