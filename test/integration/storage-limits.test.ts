import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import { newDocumentId } from '#app/ids.ts';
import { insertDocument } from '#rag/documents/document-rows.ts';
import { readTenantStorage, refuseOverStorage } from '#rag/documents/tenant-storage.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';

const canRun = POSTGRES_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL; npm run test:integration starts one.');

const DEFAULTS = { maxBytes: 1_000, maxDocuments: 20 };

describe.skipIf(!canRun)('uploads at once, by two services on one PostgreSQL', () => {
  let created: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let services: OpenDatabase[];
  beforeAll(async () => {
    created = await createPostgresDatabase();
    services = [];
    for (let service = 0; service < 2; service++) {
      const options = { connectionString: created.url, poolSize: 8, statementTimeoutMs: 30_000 };
      services.push(await openPostgresDatabase(options));
    }
  });
  afterAll(async () => {
    for (const { database } of services ?? []) await database.close();
    await created?.drop();
  });
  const databaseOf = (service: number) => {
    const open = services[service % 2];
    if (open === undefined) throw new Error('There are two services.');
    return open.database;
  };
  const storageOf = (tenant: string) =>
    databaseOf(0).asUser(testContext(tenant), (transaction) => readTenantStorage(transaction, DEFAULTS));

  /** As an upload does it: row, decision, then a moment for the file. */
  async function add(service: number, tenant: string, bytes: number): Promise<string | null> {
    const context = testContext(tenant, `user-${service % 5}`);
    const document_id = newDocumentId();
    const adding = databaseOf(service).asUser(context, async (transaction) => {
      await insertDocument(transaction, {
        format: 1,
        tenant_id: context.tenantId,
        user_id: context.userId,
        document_id,
        visibility: 'private',
        collection: 'default',
        title: null,
        filename: 'f.txt',
        media_type: 'text/plain',
        byte_size: bytes,
        content_hash: document_id,
        created_at: new Date().toISOString(),
      });
      await refuseOverStorage(transaction, DEFAULTS, { bytes });
      await transaction.query('SELECT pg_sleep(0.005)');
      return document_id;
    });
    return adding.catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'storage_exceeded' });
      return null;
    });
  }

  it.each([
    ['as many as there are places', 'places', 1, 20],
    ['as many as there is room for', 'room', 130, 7],
  ])('are %s', async (_what, tenant, bytes, fits) => {
    await insertTestTenant(databaseOf(0), tenant);
    const ids = await Promise.all(Array.from({ length: 60 }, (_, n) => add(n, tenant, bytes)));
    expect(ids.filter((id) => id !== null)).toHaveLength(fits);
    expect(await storageOf(tenant)).toMatchObject({ documents: fits, bytes: fits * bytes });
  });

  it('take the places of what is deleted meanwhile, and the sum stays that of the rows', async () => {
    const tenant = 'busy';
    await insertTestTenant(databaseOf(0), tenant);
    const work = async (worker: number) => {
      for (let round = 0; round < 15; round++) {
        const id = await add(worker, tenant, 10 + worker);
        if (id === null || round % 3 === 0) continue;
        await databaseOf(worker + 1).asUser(testContext(tenant, `user-${worker % 5}`), ({ query }) =>
          query('DELETE FROM bulkhead.documents WHERE document_id = $1', [id]),
        );
      }
    };
    await Promise.all(Array.from({ length: 10 }, (_, worker) => work(worker)));
    const [rows] = await databaseOf(0).asTenant(testContext(tenant), ({ query }) =>
      query(
        `SELECT count(*)::int AS documents, coalesce(sum(byte_size), 0)::int AS bytes FROM bulkhead.documents`,
      ),
    );
    expect(await storageOf(tenant)).toMatchObject({ ...rows });
    expect(Number(rows?.documents)).toBeLessThanOrEqual(20);
    // Erased with its tenant.
    await databaseOf(0).asSystem(({ query }) =>
      query(`DELETE FROM bulkhead.tenants WHERE tenant_id = 'busy'`),
    );
    const left = await databaseOf(0).asSystem(({ query }) =>
      query(`SELECT 1 FROM bulkhead.storage_used WHERE tenant_id = 'busy'`),
    );
    expect(left).toEqual([]);
  });

  it('are bounded by the policy where it says how much', async () => {
    await insertTestTenant(databaseOf(0), 'own');
    await databaseOf(0).asSystem(({ query }) =>
      query(
        `UPDATE bulkhead.tenants SET config = jsonb_set(config, '{storage}', '{"max_bytes": 5000000000000, "max_documents": 2}')
          WHERE tenant_id = 'own'`,
      ),
    );
    const ids = await Promise.all(Array.from({ length: 9 }, (_, n) => add(n, 'own', 2_000)));
    expect(ids.filter((id) => id !== null)).toHaveLength(2);
    expect(await storageOf('own')).toMatchObject({ max_bytes: 5_000_000_000_000, max_documents: 2 });
    // No other tenant's limits are to be read, and nothing else of the policy.
    const seen = await databaseOf(0).asUser(testContext('own'), ({ query }) =>
      query('SELECT tenant_id, max_documents::int FROM bulkhead.tenants'),
    );
    expect(seen).toEqual([{ tenant_id: 'own', max_documents: 2 }]);
    await expect(
      databaseOf(0).asUser(testContext('own'), ({ query }) => query('SELECT config FROM bulkhead.tenants')),
    ).rejects.toThrow(/permission denied/);
  });
});
