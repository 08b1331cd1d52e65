import type { Database, Row, Transaction } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import type { TenantId, UserId } from '#app/ids.ts';
import { type ApiKey, apiKeySchema, type CreatedApiKey } from '#app/schemas/api-key.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import type { Scope, TenantRole } from '#app/tenant-context.ts';
import { appendEvents, type NewAuditEvent, PLATFORM_ACTOR } from '#router/audit/append-events.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';
import { formatApiKey, hmacOfSecret, newApiKey, parseApiKey } from '#router/identity/api-key.ts';

/** A key and what proves its secret; the hash never leaves identity. */
export type StoredApiKey = Readonly<{
  key: ApiKey;
  secretHmac: Buffer;
  /** Of the secret before the last rotation, while it is still taken. */
  previous: Readonly<{ secretHmac: Buffer; until: number }> | null;
}>;

export type NewApiKey = Readonly<{
  tenantId: TenantId;
  userId: UserId;
  role: TenantRole;
  scopes: readonly Scope[];
  name: string;
  expiresAt: Date | null;
  /** Default, for all three: no limit. */
  models?: readonly string[] | null;
  ipRanges?: readonly string[] | null;
  collections?: readonly string[] | null;
  /** Who makes it, for the audit. Default: the platform itself. */
  author?: string;
}>;

export interface ApiKeyStore {
  /** Throws `not_found` for a tenant that does not exist, and `conflict` for one with too many keys. */
  create(key: NewApiKey): Promise<CreatedApiKey>;
  /** The same within a transaction of the caller's (`asSystem`). */
  createIn(transaction: Transaction, key: NewApiKey): Promise<CreatedApiKey>;
  /** Makes the operator's key known, as settings give it, and revokes the ones that settings gave before. */
  registerOperatorKey(apiKey: string): Promise<ApiKey>;
  /** One answer an id, null for unknown ones. */
  findMany(keyIds: readonly string[]): Promise<(StoredApiKey | null)[]>;
  list(tenantId: TenantId, page: PageRequest): Promise<Page<ApiKey>>;
  get(tenantId: TenantId, keyId: string): Promise<ApiKey>;
  /** Revoking twice keeps the first time. */
  revoke(tenantId: TenantId, keyId: string, author?: string): Promise<ApiKey>;
  /**
   * Gives the key a new secret; the old one is taken until `previousUntil`, or no longer where that is null. Throws
   * `conflict` for a key that is revoked or expired.
   */
  rotate(rotation: {
    tenantId: TenantId;
    keyId: string;
    previousUntil: Date | null;
    author?: string;
  }): Promise<CreatedApiKey>;
  /** Notes when keys were used last. */
  recordUses(uses: readonly Readonly<{ keyId: string; at: Date }>[]): Promise<void>;
  /** Told of every key that this process revokes or rotates, so that caches forget it at once. */
  onChanged(listener: (keyId: string) => void): void;
}

/** Of one tenant, that are neither revoked nor expired. */
const MAX_KEYS = 10_000;

const COLUMNS = `key_id, tenant_id, user_id, role, scopes, models, ip_ranges, collections, name, secret_hmac, previous_hmac,
  previous_until, created_at, expires_at, revoked_at, rotated_at, last_used_at`;

const textsOf = (parameter: string) =>
  `CASE WHEN ${parameter}::jsonb IS NULL THEN NULL ELSE ARRAY(SELECT jsonb_array_elements_text(${parameter}::jsonb)) END`;

/** API keys in the database. `pepper` is API_KEY_PEPPER: changing it makes every key invalid. */
export function createApiKeyStore(options: { database: Database; pepper: string }): ApiKeyStore {
  const { database, pepper } = options;
  const listeners: ((keyId: string) => void)[] = [];
  const announce = (keyId: string) => {
    for (const listener of listeners) listener(keyId);
  };

  async function one(text: string, parameters: readonly unknown[]): Promise<ApiKey> {
    const [row] = await database.asSystem((transaction) => transaction.query(text, parameters));
    if (row === undefined) throw notFound('key');
    return toApiKey(row);
  }

  async function createIn(transaction: Transaction, key: NewApiKey): Promise<CreatedApiKey> {
    const { tenantId, userId, role, scopes, name, expiresAt, author = PLATFORM_ACTOR } = key;
    const { models = null, ipRanges = null, collections = null } = key;
    const parts = newApiKey();
    const [count] = await transaction.query(
      `SELECT count(*)::int AS live FROM (SELECT 1 FROM bulkhead.api_keys
        WHERE tenant_id = $1 AND revoked_at IS NULL AND coalesce(expires_at > now(), true) LIMIT ${MAX_KEYS}) AS keys`,
      [tenantId],
    );
    if (Number(count?.live) >= MAX_KEYS) {
      throw new BulkheadError('conflict', `A tenant has ${MAX_KEYS} live keys at most. Revoke some first.`);
    }
    // The tenant is checked in the same statement: a key never outlives or precedes its tenant.
    const [row] = await transaction.query(
      `INSERT INTO bulkhead.api_keys (key_id, tenant_id, user_id, role, scopes, name, secret_hmac, expires_at,
                                      models, ip_ranges, collections)
       SELECT $1, tenant_id, $3, $4, ${textsOf('$5')}, $6, $7, $8, ${textsOf('$9')}, ${textsOf('$10')},
              ${textsOf('$11')}
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
        models === null ? null : JSON.stringify(models),
        ipRanges === null ? null : JSON.stringify(ipRanges),
        collections === null ? null : JSON.stringify([...new Set(collections)]),
      ],
    );
    if (row === undefined) throw notFound('tenant');
    const created = toApiKey(row);
    await appendEvents(transaction, tenantId, [eventOf('key.created', created, author)]);
    return { ...created, api_key: formatApiKey(parts) };
  }

  return {
    create: (key) => database.asSystem((transaction) => createIn(transaction, key), key.tenantId),
    createIn,

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
      const rows = await database.asSystem(
        (transaction) =>
          transaction.query(
            `SELECT ${COLUMNS} FROM bulkhead.api_keys
            WHERE key_id IN (SELECT jsonb_array_elements_text($1::jsonb))`,
            [JSON.stringify(keyIds)],
          ),
        'platform:credentials',
      );
      const found = new Map(rows.map((row) => [String(row.key_id), toStored(row)]));
      return keyIds.map((keyId) => found.get(keyId) ?? null);
    },

    async list(tenantId, { limit, after }) {
      const rows = await database.asSystem(
        (transaction) =>
          transaction.query(
            `SELECT ${COLUMNS} FROM bulkhead.api_keys
            WHERE tenant_id = $1 AND ($2::text IS NULL OR key_id < $2) ORDER BY key_id DESC LIMIT $3`,
            [tenantId, after ?? null, limit + 1],
          ),
        tenantId,
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
      }, tenantId);
      announce(keyId);
      return key;
    },

    async rotate({ tenantId, keyId, previousUntil, author = PLATFORM_ACTOR }) {
      const { secret } = newApiKey();
      const key = await database.asSystem(async (transaction) => {
        const [known] = await transaction.query(
          `SELECT revoked_at IS NULL AND coalesce(expires_at > now(), true) AS live
             FROM bulkhead.api_keys WHERE tenant_id = $1 AND key_id = $2 FOR UPDATE`,
          [tenantId, keyId],
        );
        if (known === undefined) throw notFound('key');
        if (known.live !== true) {
          throw new BulkheadError('conflict', 'The key is revoked or expired. Create another one.');
        }
        const [row] = await transaction.query(
          `UPDATE bulkhead.api_keys
              SET previous_hmac = CASE WHEN $4::timestamptz IS NULL THEN NULL ELSE secret_hmac END,
                  previous_until = $4, secret_hmac = $3, rotated_at = now()
            WHERE tenant_id = $1 AND key_id = $2 RETURNING ${COLUMNS}`,
          [tenantId, keyId, hmacOfSecret(pepper, secret).toString('hex'), previousUntil],
        );
        if (row === undefined) throw notFound('key');
        const rotated = toApiKey(row);
        await appendEvents(transaction, tenantId, [eventOf('key.rotated', rotated, author)]);
        return rotated;
      }, tenantId);
      announce(keyId);
      return { ...key, api_key: formatApiKey({ keyId, secret }) };
    },

    async recordUses(uses) {
      // Rows that somebody else has locked are noted the next time: nobody waits, and no two routers deadlock.
      await database.asSystem(
        (transaction) =>
          transaction.query(
            `WITH used AS (SELECT * FROM jsonb_to_recordset($1::jsonb) AS use (key_id text, at timestamptz)),
                free AS (SELECT key_id FROM bulkhead.api_keys WHERE key_id IN (SELECT key_id FROM used)
                         FOR UPDATE SKIP LOCKED)
           UPDATE bulkhead.api_keys k SET last_used_at = greatest(k.last_used_at, used.at)
             FROM used JOIN free USING (key_id) WHERE k.key_id = used.key_id`,
            [JSON.stringify(uses.map(({ keyId, at }) => ({ key_id: keyId, at: at.toISOString() })))],
          ),
        'platform:upkeep',
      );
    },

    onChanged(listener) {
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
  details: {
    role: key.role,
    user_id: key.user_id,
    scopes: key.scopes,
    expires_at: key.expires_at,
    ...(key.models === null ? {} : { models: key.models }),
    ...(key.ip_ranges === null ? {} : { ip_ranges: key.ip_ranges }),
    ...(key.collections === null ? {} : { collections: key.collections }),
    ...(key.previous_secret_until === null ? {} : { previous_secret_until: key.previous_secret_until }),
  },
});

function toApiKey(row: Row): ApiKey {
  return apiKeySchema.parse({
    ...row,
    created_at: toIso(row.created_at),
    expires_at: toIso(row.expires_at),
    revoked_at: toIso(row.revoked_at),
    rotated_at: toIso(row.rotated_at),
    previous_secret_until: toIso(row.previous_until),
    last_used_at: toIso(row.last_used_at),
  });
}

const toStored = (row: Row): StoredApiKey => ({
  key: toApiKey(row),
  secretHmac: Buffer.from(String(row.secret_hmac), 'hex'),
  previous:
    row.previous_until instanceof Date
      ? { secretHmac: Buffer.from(String(row.previous_hmac), 'hex'), until: row.previous_until.getTime() }
      : null,
});

/** Both drivers give timestamps as Date. */
const toIso = (value: unknown): string | null => (value instanceof Date ? value.toISOString() : null);
