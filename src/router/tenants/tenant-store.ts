import type { Database, Row } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import { type Tenant, tenantSchema } from '#app/schemas/tenant.ts';
import { type TenantConfig, type TenantConfigPatch, tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { appendEvents, type NewAuditEvent } from '#router/audit/append-events.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
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
  /** null where there is no such tenant. */
  readConfig(tenantId: TenantId): Promise<StoredConfig | null>;
  /** Told of every tenant that this process changes, so that caches read it again. */
  onChanged(listener: (tenantId: TenantId) => void): void;
}

const COLUMNS = 'tenant_id, config, config_version, created_at, updated_at';

/** A tenant that is being erased exists for nobody. */
const IS_KEPT = 'NOT EXISTS (SELECT 1 FROM bulkhead.tenant_erasures e WHERE e.tenant_id = tenants.tenant_id)';

const KEEP_HISTORY = `INSERT INTO bulkhead.tenant_config_versions (tenant_id, config_version, config, author)
  VALUES ($1, $2, $3::jsonb, $4)`;

/** Tenants and their configs in the database. */
export function createTenantStore(options: { database: Database }): TenantStore {
  const { database } = options;
  const listeners: ((tenantId: TenantId) => void)[] = [];
  const announce = (tenantId: TenantId) => {
    for (const listener of listeners) listener(tenantId);
  };

  return {
    async create(config, author) {
      compilePolicy(config, 1);
      const json = JSON.stringify(config);
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
      const [row] = await database.asSystem((transaction) =>
        transaction.query(`SELECT ${COLUMNS} FROM bulkhead.tenants WHERE tenant_id = $1 AND ${IS_KEPT}`, [
          tenantId,
        ]),
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
      const tenant = await database.asSystem(async (transaction) => {
        const [row] = await transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.tenants WHERE tenant_id = $1 AND ${IS_KEPT} FOR UPDATE`,
          [tenantId],
        );
        if (row === undefined) throw notFound('tenant');
        const current = toTenant(row);
        if (expectedVersion !== null && expectedVersion !== current.version) {
          throw new BulkheadError('precondition_failed', `The config is at version ${current.version} now.`, {
            param: 'if-match',
          });
        }
        const config = mergeConfig(current.config, patch);
        const version = current.version + 1;
        compilePolicy(config, version);
        const json = JSON.stringify(config);
        const [changed] = await transaction.query(
          `UPDATE bulkhead.tenants SET config = $2::jsonb, config_version = $3, updated_at = now()
            WHERE tenant_id = $1 RETURNING ${COLUMNS}`,
          [tenantId, json, version],
        );
        if (changed === undefined) throw notFound('tenant');
        await transaction.query(KEEP_HISTORY, [tenantId, version, json, author]);
        const tenant = toTenant(changed);
        const fields = Object.keys(patch).sort();
        await appendEvents(transaction, tenantId, [eventOf('tenant.changed', tenant, author, { fields })]);
        return tenant;
      });
      announce(tenant.tenant_id);
      return tenant;
    },

    async readConfig(tenantId) {
      const [row] = await database.asSystem((transaction) =>
        transaction.query(
          `SELECT config, config_version, members_version FROM bulkhead.tenants WHERE tenant_id = $1 AND ${IS_KEPT}`,
          [tenantId],
        ),
      );
      if (row === undefined) return null;
      const { config, config_version, members_version } = row;
      return { config, version: Number(config_version), membersVersion: Number(members_version) };
    },

    onChanged(listener) {
      listeners.push(listener);
    },
  };
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

function toTenant(row: Row): Tenant {
  return tenantSchema.parse({
    tenant_id: row.tenant_id,
    version: row.config_version,
    config: tenantConfigSchema.parse(row.config),
    created_at: row.created_at instanceof Date ? row.created_at.toISOString() : row.created_at,
    updated_at: row.updated_at instanceof Date ? row.updated_at.toISOString() : row.updated_at,
  });
}
