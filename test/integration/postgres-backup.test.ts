import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { findProgram, versionedDirectories } from '#test/support/find-program.ts';
import { call, eventually, textAt } from '#test/support/http-client.ts';
import { readLedger } from '#test/support/read-ledger.ts';
import { cleanEnvironment } from '#test/support/start-bulkhead.ts';
import { startPostgres } from '#test/support/start-postgres.ts';
import { startThreeServices } from '#test/support/start-three-services.ts';
import { createKey, createTenant } from '#test/support/tenants.ts';

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** Longer than routers take to bring usage to a database that answers. */
const SHIPPED_MS = 3_000;
const ADMIN_URL = process.env.TEST_POSTGRES_ADMIN_URL ?? '';
const program = (name: string) =>
  findProgram(name, {
    override: name.toUpperCase(),
    path: false,
    directories: versionedDirectories('/usr/lib/postgresql', 'bin'),
  }) ?? name;

const canRun = POSTGRES_URL !== '' && ADMIN_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL of our own; npm run test:integration starts one.');

const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function bulkhead(args: readonly string[], env: Readonly<Record<string, string>>) {
  const { stdout, stderr } = await run(process.execPath, [CLI, ...args], {
    cwd: tmpdir(),
    env: cleanEnvironment(env),
  }).catch((error: { stdout: string; stderr: string }) => error);
  return `${stdout}${stderr}`;
}

async function asSuperuser(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

it.skipIf(!canRun)(
  'pg_dump under load, restored to a server without the roles, is a platform that answers',
  async () => {
    const root = await mkdtemp(join(tmpdir(), 'bulkhead-pg-backup-'));
    cleanups.push(() => rm(root, { recursive: true, force: true }));
    const created = await createPostgresDatabase();
    cleanups.push(created.drop);
    const first = await startThreeServices({
      databaseUrl: created.url,
      env: { BULKHEAD_DATA_DIR: join(root, 'first') },
    });
    cleanups.push(first.dispose);
    await createTenant(first, {
      tenant_id: 'acme',
      display_name: 'acme',
      rate_limits: { requests_per_minute: 1_000_000, requests_per_hour: null, concurrent_requests: 1_000 },
    });
    const key = await createKey(first, 'acme', { user_id: 'alice', role: 'service' });
    const form = new FormData();
    form.append('file', new Blob(['The office of acme opens at nine.']), 'note.txt');
    form.append('visibility', 'tenant');
    const added = await call(first.url, 'POST /v1/vault/documents', { key, body: form });
    const document = textAt(added.json, 'document_id');
    const untilIndexed = (url: string, as: string) =>
      eventually(
        'the document is indexed',
        async () => {
          const { json } = await call(url, `GET /v1/vault/documents/${document}`, { key: as });
          return textAt(json, 'status') === 'ready' ? true : undefined;
        },
        60_000,
      );
    await untilIndexed(first.url, key);

    const ask = (url: string, as: string) =>
      call(url, 'POST /v1/chat', { key: as, json: { message: 'When does the office open?' } });
    const acknowledged: { requestId: string; at: number }[] = [];
    const failures: string[] = [];
    let isRunning = true;
    const load = Array.from({ length: 3 }, async (_, worker) => {
      for (let i = 0; isRunning; i++) {
        const answer = await ask(first.url, key);
        if (answer.status !== 200) failures.push(answer.text);
        else acknowledged.push({ requestId: answer.headers['x-request-id'] ?? '', at: performance.now() });
        if (i % 5 === 0) await createKey(first, 'acme', { user_id: `user-${worker}-${i}`, role: 'member' });
      }
    });
    await expect.poll(() => acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(20);

    // The services' own login cannot: security is forced on the owner as well.
    const name = new URL(created.url).pathname.slice(1);
    const dump = join(root, 'bulkhead.dump');
    const dumpAs = (url: string) => run(program('pg_dump'), ['--format=custom', `--file=${dump}`, url]);
    await expect(dumpAs(created.url)).rejects.toThrow('would be affected by row-level security policy');
    const role = `backup_${name}`;
    await asSuperuser(
      ADMIN_URL,
      `CREATE ROLE ${role} LOGIN BYPASSRLS PASSWORD 'b'; GRANT pg_read_all_data TO ${role};`,
    );
    cleanups.push(() => asSuperuser(ADMIN_URL, `DROP ROLE ${role}`));
    const beganAt = performance.now();
    await delay(SHIPPED_MS);
    const dumpUrl = new URL(created.url);
    dumpUrl.username = role;
    dumpUrl.password = 'b';
    await dumpAs(dumpUrl.href);
    await cp(join(root, 'first', 'vault'), join(root, 'second', 'vault'), { recursive: true });
    isRunning = false;
    await Promise.all(load);
    expect(failures).toEqual([]);
    const before = acknowledged.filter(({ at }) => at < beganAt).map(({ requestId }) => requestId);

    // Another server, which has neither the roles nor the database.
    const server = await startPostgres();
    cleanups.push(() => server.stop());
    const target = await createPostgresDatabase(server.env.TEST_POSTGRES_URL ?? '');
    const restore = () =>
      run(program('pg_restore'), [
        '--no-owner',
        '--exit-on-error',
        '--single-transaction',
        `--dbname=${target.url}`,
        dump,
      ]);
    await expect(restore()).rejects.toThrow(/role "bulkhead_\w+" does not exist/);
    const careless = await createPostgresDatabase(server.env.TEST_POSTGRES_URL ?? '');
    await run(program('pg_restore'), ['--no-owner', `--dbname=${careless.url}`, dump]).catch(() => undefined);
    const refused =
      'The schema bulkhead has no policies: it was restored on a server without the roles. Drop the database, create it again, run `bulkhead migrate --roles`, and restore the dump.\n';
    expect(await bulkhead(['migrate'], { DATABASE_URL: careless.url })).toBe(refused);
    expect(await bulkhead(['migrate', '--check'], { DATABASE_URL: careless.url })).toBe(refused);

    expect(await bulkhead(['migrate', '--roles'], { DATABASE_URL: target.url })).toBe(
      'The roles are there.\n',
    );
    await restore();
    expect(await bulkhead(['migrate'], { DATABASE_URL: target.url })).toBe('The database is up to date.\n');

    const second = await startThreeServices({
      databaseUrl: target.url,
      env: { BULKHEAD_DATA_DIR: join(root, 'second') },
    });
    cleanups.push(second.dispose);
    const { rows } = await readLedger(second);
    expect(before.filter((requestId) => rows.get(requestId)?.length !== 1)).toEqual([]);
    for (const chain of ['', '?tenant_id=acme']) {
      const { json } = await call(second.url, `GET /admin/audit/verify${chain}`, { key: second.operatorKey });
      expect(json).toMatchObject({ valid: true, broken: null });
    }
    // Another deployment has another pepper: the old keys are void, and a new one finds what alice shared.
    expect((await ask(second.url, key)).status).toBe(401);
    const again = await createKey(second, 'acme', { user_id: 'alice', role: 'service' });
    await untilIndexed(second.url, again);
    const answer = await ask(second.url, again);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('opens at nine');
  },
  400_000,
);
