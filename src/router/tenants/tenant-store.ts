import { isDeepStrictEqual } from 'node:util';
import type { Database, Row, Transaction } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { plainMessage } from '#app/errors/plain-message.ts';
import type { TenantId } from '#app/ids.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import { type Tenant, tenantSchema } from '#app/schemas/tenant.ts';
import { type TenantConfig, type TenantConfigPatch, tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { appendEvents, type NewAuditEvent } from '#router/audit/append-events.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';
import { compileNewPolicy } from '#router/policy/compile-policy.ts';
import { mergeConfig } from '#router/tenants/merge-config.ts';

/** A config as the database holds it, not yet trusted. */
export type StoredConfig = Readonly<{ config: unknown; version: number; membersVersion: number }>;

export interface TenantStore {
  /** Throws `conflict` where the id is taken, and `invalid_request` naming the field that cannot work. */
  create(config: TenantConfig, author: string): Promise<Tenant>;
  /** Throws `not_found`. */
  get(tenantId: TenantId): Promise<Tenant>;
  /** By tenant id, ascending. */
  list(page: PageRequest): Promise<Page<Tenant>>;
  /**
   * Changes the config and keeps the old one in the history. With `expectedVersion`, throws
   * `precondition_failed` where the config has been changed since.
   */
  patch(change: {
    tenantId: TenantId;
    patch: TenantConfigPatch;
    author: string;
    expectedVersion: number | null;
  }): Promise<Tenant>;
  /**
   * Makes the config of an earlier version the newest. `mayChange` is shown what would change, and throws where it must
   * not. Throws `conflict` naming the field where the version is not valid any more.
   */
  restore(change: {
    tenantId: TenantId;
    version: number;
    author: string;
    expectedVersion: number | null;
    mayChange: (fields: Partial<Record<keyof TenantConfigPatch, unknown>>) => void;
  }): Promise<Tenant>;
  /** null where there is no such tenant. */
  readConfig(tenantId: TenantId): Promise<StoredConfig | null>;
  /** One answer a tenant. */
  readConfigs(tenantIds: readonly TenantId[]): Promise<(StoredConfig | null)[]>;
  /** Told of every tenant that this process changes, so that caches read it again. */
  onChanged(listener: (tenantId: TenantId) => void): void;
}

const COLUMNS = 'tenant_id, config, config_version, created_at, updated_at';

/** A tenant that is being erased exists for nobody. */
const IS_KEPT = 'NOT EXISTS (SELECT 1 FROM bulkhead.tenant_erasures e WHERE e.tenant_id = tenants.tenant_id)';

/** A config is read every second while its tenant is active, and each of its versions is kept. */
const MAX_CONFIG_BYTES = 1_048_576;

/** The config as it is stored. Throws `invalid_request` for one that is too large. */
function jsonOf(config: TenantConfig): string {
  const json = JSON.stringify(config);
  const bytes = Buffer.byteLength(json);
  if (bytes <= MAX_CONFIG_BYTES) return json;
  // What makes one large, and can be made shorter.
  const param = 'refusal_rules';
  const message = `${param}: the config has ${bytes} bytes with them, and may have ${MAX_CONFIG_BYTES}`;
  throw new BulkheadError('invalid_request', message, { param });
}

const KEEP_HISTORY = `INSERT INTO bulkhead.tenant_config_versions (tenant_id, config_version, config, author)
  VALUES ($1, $2, $3::jsonb, $4)`;

/** Tenants and their configs in the database. */
export function createTenantStore(options: {
  database: Database;
  /** What a config must meet beside its shape; throws `invalid_request`. */
  checkConfig?: (config: TenantConfig) => void;
}): TenantStore {
  const { database, checkConfig = () => {} } = options;
  const listeners: ((tenantId: TenantId) => void)[] = [];
  const announce = (tenantId: TenantId) => {
    for (const listener of listeners) listener(tenantId);
  };

  async function readConfigs(tenantIds: readonly TenantId[]): Promise<(StoredConfig | null)[]> {
    const rows = await database.asSystem(
      (transaction) =>
        transaction.query(
          `SELECT tenant_id, config, config_version, members_version FROM bulkhead.tenants
          WHERE tenant_id IN (SELECT jsonb_array_elements_text($1::jsonb)) AND ${IS_KEPT}`,
          [JSON.stringify(tenantIds)],
        ),
      'platform:policies',
    );
    const found = new Map(rows.map((row) => [String(row.tenant_id), toStored(row)]));
    return tenantIds.map((tenantId) => found.get(tenantId) ?? null);
  }

  return {
    async create(config, author) {
      const json = jsonOf(config);
      checkConfig(config);
      await compileNewPolicy(config, 1);
      const tenant = await database.asSystem(async (transaction) => {
        const [row] = await transaction.query(
          `INSERT INTO bulkhead.tenants (tenant_id, config)
           SELECT $1, $2::jsonb WHERE NOT EXISTS (SELECT 1 FROM bulkhead.tenant_erasures WHERE tenant_id = $1)
           ON CONFLICT (tenant_id) DO NOTHING RETURNING ${COLUMNS}`,
          [config.tenant_id, json],
        );
        if (row === undefined) {
          throw new BulkheadError('conflict', 'The tenant id is taken.', { param: 'tenant_id' });
        }
        await transaction.query(KEEP_HISTORY, [config.tenant_id, 1, json, author]);
        const created = toTenant(row);
        const event = eventOf('tenant.created', created, author, {});
        await appendEvents(transaction, created.tenant_id, [event]);
        // Here as well: that there was such a tenant is known when its own chain is gone.
        await appendEvents(transaction, OPERATORS_CHAIN, [event]);
        return created;
      });
      announce(tenant.tenant_id);
      return tenant;
    },

    async get(tenantId) {
      const [row] = await database.asSystem(
        (transaction) =>
          transaction.query(`SELECT ${COLUMNS} FROM bulkhead.tenants WHERE tenant_id = $1 AND ${IS_KEPT}`, [
            tenantId,
          ]),
        tenantId,
      );
      if (row === undefined) throw notFound('tenant');
      return toTenant(row);
    },

    async list({ limit, after }) {
      const rows = await database.asSystem((transaction) =>
        transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.tenants
            WHERE ($1::text IS NULL OR tenant_id > $1) AND ${IS_KEPT} ORDER BY tenant_id LIMIT $2`,
          [after ?? null, limit + 1],
        ),
      );
      return toPage(rows.map(toTenant), limit, ({ tenant_id }) => tenant_id);
    },

    async patch({ tenantId, patch, author, expectedVersion }) {
      const fields = Object.keys(patch).sort();
      for (;;) {
        const before = toTenant(
          await database.asSystem((transaction) => read(transaction, tenantId, expectedVersion), tenantId),
        );
        const config = mergeConfig(before.config, patch);
        const version = before.version + 1;
        checkConfig(config);
        // Compiling takes up to a second, in slices: no transaction is open meanwhile.
        await compileNewPolicy(config, version);
        const tenant = await database.asSystem(async (transaction) => {
          const row = await read(transaction, tenantId, expectedVersion, LOCKED);
          // Changed meanwhile, so this change is made to what it is now. Each time, another change succeeded.
          if (Number(row.config_version) !== before.version) return null;
          return write(transaction, { config, version, author, details: { fields } });
        }, tenantId);
        if (tenant === null) continue;
        announce(tenant.tenant_id);
        return tenant;
      }
    },

    async restore({ tenantId, version: restored, author, expectedVersion, mayChange }) {
      // A version never changes, so it may be looked at before the tenant is locked.
      const old = await database.asSystem(async (transaction) => {
        await read(transaction, tenantId, expectedVersion);
        const [found] = await transaction.query(
          'SELECT config FROM bulkhead.tenant_config_versions WHERE tenant_id = $1 AND config_version = $2',
          [tenantId, restored],
        );
        if (found === undefined) throw notFound('version', 'version');
        return found;
      }, tenantId);
      const config = await validAgain(old.config, tenantId, restored, checkConfig);
      const tenant = await database.asSystem(async (transaction) => {
        const row = await read(transaction, tenantId, expectedVersion, LOCKED);
        const version = Number(row.config_version) + 1;
        const changes = changedFields(row.config, config);
        mayChange(changes);
        const details = { fields: Object.keys(changes).sort(), restored_version: restored };
        return write(transaction, { config, version, author, details });
      }, tenantId);
      announce(tenant.tenant_id);
      return tenant;
    },

    readConfig: async (tenantId) => (await readConfigs([tenantId]))[0] ?? null,
    readConfigs,

    onChanged(listener) {
      listeners.push(listener);
    },
  };
}

/** No other transaction changes the row until this one ends. */
const LOCKED = 'FOR UPDATE';

/** The tenant's row. Throws `not_found`, and `precondition_failed` where it is of another version. */
async function read(
  transaction: Transaction,
  tenantId: TenantId,
  expectedVersion: number | null,
  how: typeof LOCKED | '' = '',
): Promise<Row> {
  const [row] = await transaction.query(
    `SELECT ${COLUMNS} FROM bulkhead.tenants WHERE tenant_id = $1 AND ${IS_KEPT} ${how}`,
    [tenantId],
  );
  if (row === undefined) throw notFound('tenant');
  if (expectedVersion !== null && expectedVersion !== Number(row.config_version)) {
    throw new BulkheadError('precondition_failed', `The config is at version ${row.config_version} now.`, {
      param: 'if-match',
    });
  }
  return row;
}

async function write(
  transaction: Transaction,
  change: { config: TenantConfig; version: number; author: string; details: NewAuditEvent['details'] },
): Promise<Tenant> {
  const { config, version, author, details } = change;
  const tenantId = config.tenant_id;
  const json = jsonOf(config);
  const [changed] = await transaction.query(
    `UPDATE bulkhead.tenants SET config = $2::jsonb, config_version = $3, updated_at = now()
      WHERE tenant_id = $1 RETURNING ${COLUMNS}`,
    [tenantId, json, version],
  );
  if (changed === undefined) throw notFound('tenant');
  await transaction.query(KEEP_HISTORY, [tenantId, version, json, author]);
  const tenant = toTenant(changed);
  await appendEvents(transaction, tenantId, [eventOf('tenant.changed', tenant, author, details)]);
  return tenant;
}

/** A config that was good once. Throws `conflict` where it is not today, or is another tenant's. */
async function validAgain(
  stored: unknown,
  tenantId: TenantId,
  version: number,
  check: (config: TenantConfig) => void,
): Promise<TenantConfig> {
  const invalid = (param: string, message: string) =>
    new BulkheadError('conflict', `The version is not valid any more. ${message}`, { param });
  const parsed = tenantConfigSchema.safeParse(stored, { error: plainMessage });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const param = issue?.path.join('.') ?? '';
    throw invalid(param, `${param}: ${issue?.message ?? 'is not valid'}`);
  }
  if (parsed.data.tenant_id !== tenantId) throw invalid('tenant_id', 'It names another tenant.');
  try {
    check(parsed.data);
    await compileNewPolicy(parsed.data, version);
  } catch (error) {
    if (error instanceof BulkheadError) throw invalid(error.param ?? '', error.message);
    throw error;
  }
  return parsed.data;
}

/** The fields of the new config that differ from what is stored. */
function changedFields(stored: unknown, config: TenantConfig): Record<string, unknown> {
  const parsed = tenantConfigSchema.safeParse(stored);
  // What cannot be read now may have been anything: all of it changes.
  const before = new Map<string, unknown>(parsed.success ? Object.entries(parsed.data) : []);
  return Object.fromEntries(
    Object.entries(config).filter(([name, value]) => !isDeepStrictEqual(value, before.get(name))),
  );
}

const eventOf = (
  action: NewAuditEvent['action'],
  { tenant_id, version }: Tenant,
  actor: string,
  details: NewAuditEvent['details'],
): NewAuditEvent => ({
  actor,
  tenantId: tenant_id,
  action,
  target: tenant_id,
  outcome: 'done',
  details: { version, ...details },
});

const toStored = ({ config, config_version, members_version }: Row): StoredConfig => ({
  config,
  version: Number(config_version),
  membersVersion: Number(members_version),
});

function toTenant(row: Row): Tenant {
  return tenantSchema.parse({
    tenant_id: row.tenant_id,
    version: row.config_version,
    config: tenantConfigSchema.parse(row.config),
    created_at: row.created_at instanceof Date ? row.created_at.toISOString() : row.created_at,
    updated_at: row.updated_at instanceof Date ? row.updated_at.toISOString() : row.updated_at,
  });
}
