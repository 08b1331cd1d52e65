import type { Database, Row } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';
import {
  type ConfigVersion,
  configVersionSchema,
  type StoredConfigVersion,
  storedConfigVersionSchema,
} from '#app/schemas/config-version.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';

export interface ConfigHistory {
  /** Newest first. `after` is a version. */
  list(tenantId: TenantId, page: PageRequest): Promise<Page<ConfigVersion>>;
  /** Throws `not_found`. */
  get(tenantId: TenantId, version: number): Promise<StoredConfigVersion>;
}

/** The configs that a tenant has had. The caller has seen that the tenant exists. */
export function createConfigHistory({ database }: { database: Database }): ConfigHistory {
  return {
    async list(tenantId, { limit, after }) {
      const rows = await database.asSystem(
        (transaction) =>
          transaction.query(
            `SELECT tenant_id, config_version, author, created_at FROM bulkhead.tenant_config_versions
            WHERE tenant_id = $1 AND ($2::integer IS NULL OR config_version < $2)
            ORDER BY config_version DESC LIMIT $3`,
            [tenantId, after === undefined ? null : versionOf(after), limit + 1],
          ),
        tenantId,
      );
      const versions = rows.map((row) => configVersionSchema.parse(plain(row)));
      return toPage(versions, limit, ({ version }) => String(version));
    },

    async get(tenantId, version) {
      const [row] = await database.asSystem(
        (transaction) =>
          transaction.query(
            `SELECT tenant_id, config_version, author, created_at, config FROM bulkhead.tenant_config_versions
            WHERE tenant_id = $1 AND config_version = $2`,
            [tenantId, version],
          ),
        tenantId,
      );
      if (row === undefined) throw notFound('version', 'version');
      return storedConfigVersionSchema.parse(plain(row));
    },
  };
}

function versionOf(after: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(after)) return Number(after);
  throw new BulkheadError('invalid_request', 'after: must be a version', { param: 'after' });
}

const plain = ({ config_version, created_at, ...row }: Row) => ({
  ...row,
  version: config_version,
  created_at: created_at instanceof Date ? created_at.toISOString() : created_at,
});
