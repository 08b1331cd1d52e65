import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { newRequestId } from '#app/ids.ts';
import { auditPageSchema } from '#app/schemas/audit-event.ts';
import { silentLogger } from '#observability/logger.ts';
import { type TarEntry, tarOf } from '#router/export/tar.ts';
import { createTenantExporter } from '#router/export/tenant-exporter.ts';
import { finished, uploadText } from '#test/support/create-test-rag.ts';
import { createPlantedTenants } from '#test/support/planted-tenants.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';

const run = promisify(execFile);
const OWN = 'ownmark41c7';
const FOREIGN = 'foreignmark9e02';

const manifestSchema = z.object({
  tenant_id: z.string(),
  requested_by: z.string(),
  rows: z.record(z.string(), z.number()),
  omitted_columns: z.record(z.string(), z.array(z.string())),
  documents: z.number(),
  missing_documents: z.array(z.unknown()),
  files: z.number(),
  checksum_lists: z.number(),
});

let planted: Awaited<ReturnType<typeof createPlantedTenants>>;
let own: Awaited<ReturnType<(typeof planted)['plant']>>;
let directory: string;
let url: string;

beforeAll(async () => {
  planted = await createPlantedTenants();
  own = await planted.plant('initech', OWN);
  await planted.plant('umbrella', FOREIGN);
  // More rows than one batch has, and a document of another user with a name that is no path.
  await planted.superuser.query(
    `INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, route, latency_ms, status, outcome, cost_usd)
     SELECT 'req_more_' || n, 'initech', 'bob', 'rag', 1, 200, 'ok', 0.000000001 FROM generate_series(1, 450) AS n`,
  );
  const { service } = planted.testRag.current();
  const bob = testContext('initech', 'bob');
  const upload = { filename: 'Über..straße (1).md' };
  const { document_id } = await uploadText(service, bob, 'Bob’s own words.', upload);
  await finished(service, bob, document_id);
  directory = await mkdtemp(join(tmpdir(), 'bulkhead-export-'));
  url = await planted.fixture.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await planted.close();
  await rm(directory, { recursive: true, force: true });
});

const request = (tenant: string, headers: Record<string, string>, signal?: AbortSignal) =>
  fetch(`${url}/admin/tenants/${tenant}/export`, {
    method: 'POST',
    headers,
    ...(signal === undefined ? {} : { signal }),
  });

/** Unpacked by the system's own tar; the files by their paths. */
async function unpack(name: string, archive: Buffer): Promise<Map<string, Buffer>> {
  const file = join(directory, `${name}.tar.gz`);
  const target = await mkdtemp(join(directory, 'out-'));
  await writeFile(file, archive);
  await run('tar', ['-xzf', file, '-C', target]);
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(target, path), await readFile(path));
  }
  return files;
}

async function exported(tenant: string, headers: Record<string, string>) {
  const response = await request(tenant, headers);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/gzip']);
  return unpack(tenant, Buffer.from(await response.arrayBuffer()));
}

const rowsIn = (files: Map<string, Buffer>, table: string): object[] =>
  [...files]
    .filter(([path]) => path.startsWith(`tables/${table}/`))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, content]) => content.toString().trimEnd().split('\n'))
    .map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));

/** All rows of the tenant, as the database has them. The operator’s own audit chain, which tells of tenants, is not theirs. */
async function rowsOfTables(tables: readonly string[]): Promise<Map<string, object[]>> {
  const rows = new Map<string, object[]>();
  for (const table of tables) {
    const found = await planted.superuser.query<{ row: object }>(
      `SELECT to_jsonb(t) AS row FROM bulkhead.${table} t WHERE tenant_id = 'initech'`,
    );
    rows.set(
      table,
      found.rows.map(({ row }) => row).filter((row) => !('chain' in row && row.chain === '*')),
    );
  }
  return rows;
}

/** A row as text, without what is left out of archives, and without when a key was last used. */
const comparable = (row: object, omitted: readonly string[]): string =>
  JSON.stringify(
    Object.entries(row)
      .filter(([column]) => column !== 'last_used_at' && !omitted.includes(column))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

const withoutNumbers = (row: string): string => row.replace(/-?\d+(?:\.\d+)?(?:e[-+]?\d+)?/g, '0');

describe('a tenant’s export', () => {
  test('is everything of it, as the database and the files have it, and nothing of others', async () => {
    const tables = (await planted.tenantTables()).filter(
      (name) => !['tenant_erasures', 'idempotency_keys'].includes(name),
    );
    const earlier = await rowsOfTables(tables);
    const files = await exported('initech', own.admin);
    const manifest = manifestSchema.parse(JSON.parse(files.get('manifest.json')?.toString() ?? ''));
    expect(manifest).toMatchObject({
      tenant_id: 'initech',
      requested_by: `initech/${OWN}`,
      documents: 2,
      missing_documents: [],
      checksum_lists: 1,
    });

    expect(manifest.omitted_columns.api_keys).toContain('secret_hmac');
    expect(Object.keys(manifest.rows).sort()).toEqual(tables);
    const later = await rowsOfTables(tables);
    for (const table of tables) {
      const inArchive = rowsIn(files, table);
      expect([table, inArchive.length]).toEqual([table, manifest.rows[table]]);
      // Its one row changes with each event.
      if (table === 'audit_chains') continue;
      const omitted = manifest.omitted_columns[table] ?? [];
      const archived = inArchive.map((row) => comparable(row, omitted));
      const before = (earlier.get(table) ?? []).map((row) => comparable(row, omitted));
      const after = (later.get(table) ?? []).map((row) => comparable(row, omitted));
      // The platform goes on meanwhile, and writes down this very export: what stood still is all there,
      expect([table, before.filter((row) => after.includes(row) && !archived.includes(row))]).toEqual([
        table,
        [],
      ]);
      // and what is new or grew is a row that the database has, numbers aside.
      const known = new Set([...before, ...after].map(withoutNumbers));
      expect([table, archived.filter((row) => !known.has(withoutNumbers(row)))]).toEqual([table, []]);
      expect(archived.length).toBeGreaterThanOrEqual(before.length);
      expect(archived.length).toBeLessThanOrEqual(after.length);
    }
    expect(rowsIn(files, 'usage_records').length).toBeGreaterThan(450);
    expect(rowsIn(files, 'tenant_config_versions')).toHaveLength(2);

    // The documents of every user, as they were uploaded.
    const { document } = own;
    expect(files.get(`documents/${document.document_id}/${OWN}.md`)?.toString()).toBe(
      `# About ${OWN}\n\nThe word is ${OWN}.`,
    );
    const other = [...files].find(([path]) => /^documents\/.*_ber\.\.stra_e__1_\.md$/.test(path));
    expect(other?.[1].toString()).toBe('Bob’s own words.');

    // Checksums of all of it.
    const sums = new Map(
      [...files]
        .filter(([path]) => path.startsWith('checksums/'))
        .flatMap(([, content]) => content.toString().trimEnd().split('\n'))
        .map((line) => [line.slice(66), line.slice(0, 64)] as const),
    );
    expect(sums.size).toBe(manifest.files);
    for (const [path, content] of files) {
      if (path === 'manifest.json' || path.startsWith('checksums/')) continue;
      expect([path, sums.get(path)]).toEqual([path, createHash('sha256').update(content).digest('hex')]);
    }

    const all = [...files].map(([path, content]) => path + content.toString('latin1')).join('\n');
    expect(all).toContain(OWN);
    expect(all).not.toContain(FOREIGN);
    expect(all).not.toContain('umbrella');
    const { rows: secrets } = await planted.superuser.query<{ secret_hmac: string }>(
      'SELECT secret_hmac FROM bulkhead.api_keys',
    );
    expect(secrets.length).toBeGreaterThan(1);
    for (const { secret_hmac } of secrets) expect(all).not.toContain(secret_hmac);
  });

  test('is for operators and its own admins, and is audited', async () => {
    const member = await planted.keyFor('initech', 'bob', 'member');
    const foreign = await planted.keyFor('umbrella', 'root', 'admin');
    expect((await request('initech', {})).status).toBe(401);
    expect((await request('initech', member)).status).toBe(403);
    const hidden = await request('initech', foreign);
    const missing = await request('nobody', foreign);
    expect([hidden.status, missing.status]).toEqual([404, 404]);
    expect((await request('nobody', planted.fixture.operator)).status).toBe(404);
    await exported('initech', planted.fixture.operator);
    const { body } = await planted.call(
      'GET',
      '/admin/audit?tenant_id=initech&action=tenant.exported',
      planted.fixture.operator,
    );
    const { data } = auditPageSchema.parse(body);
    expect(data[0]?.actor).toMatch(/^operator:/);
    expect(data[0]?.details.request_id).toMatch(/^req_/);
  });

  test('is one of its tenant at a time, and keeps no other tenant waiting', async () => {
    const exporter = createTenantExporter({
      database: planted.fixture.database,
      rag: planted.testRag.current().service,
      waitMs: 0,
      logger: silentLogger,
      now: Date.now,
      monotonicNow: () => performance.now(),
    });
    const open = (tenant: string) =>
      exporter.open({
        context: testContext(tenant, 'alice', 'admin'),
        requestedBy: 'test',
        requestId: newRequestId(),
        signal: new AbortController().signal,
      });
    const first = open('initech');
    await expect(open('initech')).rejects.toMatchObject({ code: 'service_unavailable' });
    const archives = await Promise.all([first, open('umbrella')]);
    for (const archive of archives) archive.destroy();
    await expect.poll(() => open('initech').then((archive) => archive.destroy())).toBeTruthy();
    exporter.close();
  });

  test('that is read slowly makes room for another tenant, and that is not read ends', async () => {
    let clock = 0;
    const exporter = createTenantExporter({
      database: planted.testRag.open.database,
      rag: planted.testRag.current().service,
      logger: silentLogger,
      now: Date.now,
      monotonicNow: () => clock,
      waitMs: 0,
      idleMs: 2_000,
    });
    const open = async (tenant: string) => {
      const archive = await exporter.open({
        context: testContext(tenant, 'alice', 'admin'),
        requestedBy: 'test',
        requestId: newRequestId(),
        signal: new AbortController().signal,
      });
      const ended = new Promise<string>((resolve) => archive.on('error', ({ message }) => resolve(message)));
      return { archive, ended };
    };
    const slow = [];
    // Nobody reads these, and each is more than a pipe holds.
    for (const tenant of ['slow-1', 'slow-2', 'slow-3', 'slow-4']) {
      await insertTestTenant(planted.testRag.open.database, tenant);
      await planted.superuser.query(
        `INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, route, latency_ms, status, outcome, refusal_reason)
         SELECT $1, $1, 'alice', 'rag', 1, 200, 'ok', string_agg(md5(n::text), '') FROM generate_series(1, 12000) AS n`,
        [tenant],
      );
      slow.push(await open(tenant));
    }
    await expect(open('initech')).rejects.toMatchObject({ code: 'service_unavailable' });
    clock += 60_000;
    const { archive } = await open('initech');
    const endings = slow.map(({ ended }) => ended);
    expect(await Promise.race(endings)).toContain('Others waited');
    const files = await unpack('fifth', Buffer.concat(await archive.toArray()));
    expect(files.has('manifest.json')).toBe(true);
    expect(await Promise.all(endings)).toEqual(
      expect.arrayContaining(Array(3).fill('The export was not read.')),
    );
    // All places are free again.
    for (const tenant of ['slow-1', 'slow-2', 'slow-3', 'slow-4']) (await open(tenant)).archive.destroy();
    exporter.close();
  });

  test('needs the scopes of all that is in it', async () => {
    const keyWith = (scopes: string[]) => planted.keyFor('initech', 'carol', 'admin', scopes);
    const statuses = [];
    for (const scopes of [
      ['tenant:admin'],
      ['tenant:admin', 'vault:read', 'conversations'],
      ['tenant:admin', 'vault:read', 'usage:read'],
      ['tenant:admin', 'conversations', 'usage:read'],
      ['vault:read', 'conversations', 'usage:read'],
    ]) {
      const response = await request('initech', await keyWith(scopes));
      statuses.push([response.status, (await response.text()).includes('missing_scope')]);
    }
    expect(statuses).toEqual(Array(5).fill([403, true]));
    const able = await keyWith(['tenant:admin', 'vault:read', 'conversations', 'usage:read']);
    expect((await exported('initech', able)).has('manifest.json')).toBe(true);
    // Whether the tenant is there is none of its business.
    expect((await request('umbrella', await keyWith(['tenant:admin']))).status).toBe(404);
  });

  test('that is broken off leaves nothing behind, and its place free', async () => {
    // The index has work of its own in the background.
    const files = async () =>
      (await readdir(planted.testRag.dataDirectory, { recursive: true }))
        .filter((path) => !path.startsWith('index'))
        .sort();
    const before = await files();
    for (let round = 0; round < 5; round++) {
      const controller = new AbortController();
      // The place of the one before is free when the connection's end has been noticed.
      let response = await request('initech', own.admin, controller.signal);
      while (response.status === 503) response = await request('initech', own.admin, controller.signal);
      expect(response.status).toBe(200);
      await response.body?.getReader().read();
      controller.abort();
    }
    let status = 503;
    while (status === 503) {
      const response = await request('initech', own.admin);
      status = response.status;
      await response.arrayBuffer();
    }
    expect(status).toBe(200);
    expect(await files()).toEqual(before);
  });
});

describe('an archive', () => {
  async function bytesOf(entries: readonly TarEntry[]): Promise<Buffer> {
    const given = async function* () {
      yield* entries;
    };
    const pieces: Uint8Array[] = [];
    for await (const piece of tarOf(given(), new Date(0))) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  test.each([
    ['shorter', 3],
    ['longer', 1],
  ])('is given up where a file is %s than it said', async (_name, size) => {
    await expect(bytesOf([{ path: 'a', size, body: [Buffer.from('xx')] }])).rejects.toThrow(RangeError);
  });

  test.each(['../a', '/a', 'a/../b', 'ä', 'a'.repeat(101), '', 'a\0b', 'a b'])(
    'has no path %j',
    async (path) => {
      await expect(bytesOf([{ path, size: 0, body: [] }])).rejects.toThrow(RangeError);
    },
  );

  test('is read by others', async () => {
    const sizes = [0, 1, 511, 512, 513, 2_000];
    const entries = sizes.map((size) => ({ path: `d/${size}`, size, body: [Buffer.alloc(size, 'x')] }));
    const { gzipSync } = await import('node:zlib');
    const files = await unpack('plain', gzipSync(await bytesOf(entries)));
    expect([...files].map(([path, { length }]) => [path, length]).sort()).toEqual(
      sizes.map((size) => [`d/${size}`, size]).sort(),
    );
  });
});
