import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { call, eventually, textAt } from '../support/http-client.ts';
import { readLedger } from '../support/read-ledger.ts';
import { type Bulkhead, cleanEnvironment, startBulkhead } from '../support/start-bulkhead.ts';
import { createKey, createTenant } from '../support/tenants.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

let root: string;
let server: Bulkhead;
const keys = new Map<string, string>();
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bulkhead-backup-'));
  await mkdir(join(root, 'data'));
  server = await startBulkhead({ dataDirectory: join(root, 'data') });
  for (const tenant_id of ['acme', 'globex']) {
    await createTenant(server, {
      tenant_id,
      display_name: tenant_id,
      rate_limits: { requests_per_minute: 1_000_000, requests_per_hour: null, concurrent_requests: 1_000 },
    });
    keys.set(tenant_id, await createKey(server, tenant_id, { user_id: 'alice', role: 'service' }));
  }
});
afterAll(async () => {
  await server?.child.kill();
  await rm(root, { recursive: true, force: true });
});

/** The real command line, as a process of its own. */
async function cli(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: root,
    env: cleanEnvironment({ BULKHEAD_DATA_DIR: join(root, 'data'), ...env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    texts.out += String(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    texts.err += String(chunk);
  });
  const [code] = await once(child, 'close');
  return { code: Number(code), ...texts };
}

async function addDocument(tenant: string, text: string): Promise<string> {
  const form = new FormData();
  form.append('file', new Blob([text]), 'note.txt');
  const key = keys.get(tenant) ?? '';
  const added = await call(server.url, 'POST /v1/vault/documents', { key, body: form });
  expect(added.status).toBeLessThan(300);
  return textAt(added.json, 'document_id');
}

const chat = (url: string, tenant: string) =>
  call(url, 'POST /v1/chat', {
    key: keys.get(tenant) ?? '',
    json: { message: 'When does the office open?' },
  });

it('restores a backup that was taken under load to a platform that answers, ledger and audit intact', async () => {
  const documents = {
    acme: await addDocument('acme', 'The office of acme opens at nine.'),
    globex: await addDocument('globex', 'The office of globex opens at ten.'),
  };
  const failures: string[] = [];
  const acknowledged: { requestId: string; at: number }[] = [];
  let isRunning = true;
  const load = Array.from({ length: 4 }, async (_, worker) => {
    for (let i = 0; isRunning; i++) {
      const tenant = (worker + i) % 2 === 0 ? 'acme' : 'globex';
      const answer = await chat(server.url, tenant);
      if (answer.status !== 200) failures.push(`${answer.status} ${answer.text}`);
      else acknowledged.push({ requestId: answer.headers['x-request-id'] ?? '', at: performance.now() });
      // Administrators work meanwhile: each of these is an event of the audit.
      if (i % 8 === 0) await createKey(server, tenant, { user_id: `user-${worker}-${i}`, role: 'member' });
      if (i % 20 === 0) await addDocument(tenant, `Note ${worker} ${i}.`);
    }
  });
  await expect.poll(() => acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(20);
  const beganAt = performance.now();
  const backup = await cli(['backup', 'copy', '--json']);
  expect(backup).toMatchObject({ code: 0 });
  expect(JSON.parse(backup.out)).toMatchObject({ online: true, directory: join(root, 'copy') });
  expect(backup.err).toContain('vault: ');
  isRunning = false;
  await Promise.all(load);
  expect(failures).toEqual([]);
  const before = acknowledged.filter(({ at }) => at < beganAt).map(({ requestId }) => requestId);
  expect(await readdir(join(root, 'data'))).not.toContainEqual(expect.stringMatching(/^\.backup-/));

  const restored = await cli(['restore', 'copy'], { BULKHEAD_DATA_DIR: join(root, 'restored') });
  expect(restored).toMatchObject({ code: 0 });
  expect(restored.out).toMatch(/2 tenants, \d+ usage records, \d+ audit events\.\nEvery audit chain holds\./);

  // The first one goes on beside it: nothing of the copy is its own.
  const copy = await startBulkhead({ dataDirectory: join(root, 'restored') });
  try {
    expect(copy.operatorKey).toBe(server.operatorKey);
    const { rows } = await eventually(
      'the log that was copied is in the ledger',
      async () => {
        const ledger = await readLedger(copy);
        return before.every((requestId) => ledger.rows.has(requestId)) ? ledger : undefined;
      },
      90_000,
    );
    expect(before.filter((requestId) => rows.get(requestId)?.length !== 1)).toEqual([]);
    expect(before.filter((requestId) => rows.get(requestId)?.[0]?.outcome !== 'ok')).toEqual([]);
    for (const chain of [[], ['acme'], ['globex']]) {
      const verified = await cli(['audit', ...chain, '--verify'], {
        BULKHEAD_DATA_DIR: join(root, 'restored'),
      });
      expect(verified).toMatchObject({ code: 0, err: '' });
      expect(verified.out).toMatch(/^The chain holds: [1-9]\d* events/);
    }
    for (const tenant of ['acme', 'globex'] as const) {
      await eventually(
        'the document is indexed again',
        async () => {
          const { json } = await call(copy.url, `GET /v1/vault/documents/${documents[tenant]}`, {
            key: keys.get(tenant) ?? '',
          });
          return textAt(json, 'status') === 'ready' ? true : undefined;
        },
        120_000,
      );
      const answer = await chat(copy.url, tenant);
      expect(answer.status).toBe(200);
      // Whether the extractive engine quotes it is a matter of the words; a search always gives the passage.
      const found = await call(copy.url, 'POST /v1/vault/search', {
        key: keys.get(tenant) ?? '',
        json: { query: 'When does the office open?' },
      });
      expect(found.text).toContain(`The office of ${tenant} opens`);
    }
  } finally {
    await copy.child.stop();
  }
}, 400_000);

it('backs up a platform that is stopped, and one that was killed', async () => {
  await server.child.kill();
  const backup = await cli(['backup', 'offline', '--json']);
  expect(backup).toMatchObject({ code: 0 });
  expect(JSON.parse(backup.out)).toMatchObject({ online: false });
  const restored = await cli(['restore', 'offline', '--json'], {
    BULKHEAD_DATA_DIR: join(root, 'from-offline'),
  });
  expect(restored).toMatchObject({ code: 0 });
  expect(JSON.parse(restored.out)).toMatchObject({ tenants: 2, broken: [] });
}, 120_000);

it('refuses a backup that was cut off or damaged, and a directory with something in it', async () => {
  const env = { BULKHEAD_DATA_DIR: join(root, 'refused') };
  const full = await cli(['restore', 'offline'], { BULKHEAD_DATA_DIR: join(root, 'from-offline') });
  expect(full).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('is not empty, and a restore replaces nothing'),
  });
  const again = await cli(['backup', 'offline']);
  expect(again).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('is not empty. Name a new directory'),
  });

  const damage = async (name: string, change: (directory: string) => Promise<unknown>, message: string) => {
    const directory = join(root, name);
    await cp(join(root, 'offline'), directory, { recursive: true });
    await change(directory);
    const refused = await cli(['restore', name], env);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain(message);
    expect(await readdir(join(root, 'refused')).catch(() => [])).toEqual([]);
  };
  await damage('cut', (directory) => rm(join(directory, 'backup.json')), 'is no complete backup');
  await damage(
    'shorter',
    (directory) => truncate(join(directory, 'data/secrets.json'), 10),
    'is damaged: secrets.json',
  );
  await damage(
    'missing',
    (directory) => rm(join(directory, 'data/database/PG_VERSION')),
    'is damaged: database/PG_VERSION',
  );
  await damage(
    'other-list',
    async (directory) => {
      const file = join(directory, 'files.ndjson');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace('"secrets.json"', '"../../secrets.json"'));
    },
    'is damaged: files.ndjson',
  );
  await damage(
    'later',
    (directory) => writeFile(join(directory, 'backup.json'), '{"format":2}'),
    'of a later version',
  );
}, 120_000);

it('leaves no platform behind where a backup or a restore is killed', async () => {
  const kill = async (args: string[], env: Record<string, string>, until: () => Promise<boolean>) => {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: root,
      env: cleanEnvironment(env),
      stdio: 'ignore',
    });
    const closed = once(child, 'close');
    await expect.poll(until, { timeout: 60_000, interval: 1 }).toBe(true);
    child.kill('SIGKILL');
    await closed;
  };
  const has = (directory: string, name: string) => async () =>
    (await readdir(join(root, directory)).catch((): string[] => [])).includes(name);
  await kill(['backup', 'killed'], { BULKHEAD_DATA_DIR: join(root, 'data') }, has('killed', 'data'));
  const refused = await cli(['restore', 'killed'], { BULKHEAD_DATA_DIR: join(root, 'from-killed') });
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('is no complete backup') });

  const target = { BULKHEAD_DATA_DIR: join(root, 'half') };
  await kill(['restore', 'offline'], target, has('half', '.restoring'));
  const up = await cli(['up', '--json'], { ...target, PORT: '0' });
  expect(up).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('was cut off. Remove the directory'),
  });
  expect(await cli(['restore', 'offline'], target)).toMatchObject({ code: 1 });
}, 120_000);

it('starts on a data directory that was copied with its lock, while its owner lives', async () => {
  const owner = await startBulkhead({ dataDirectory: join(root, 'from-offline') });
  const copied = join(root, 'copied');
  await cp(join(root, 'from-offline'), copied, { recursive: true, preserveTimestamps: true });
  expect(await readdir(copied)).toContain('bulkhead.lock');
  // Copied by hand while it ran: the lock is not in the way, whatever the database makes of its files.
  const migrate = await cli(['migrate'], { BULKHEAD_DATA_DIR: copied });
  expect(migrate).toMatchObject({ code: 0 });
  const second = await cli(['migrate'], { BULKHEAD_DATA_DIR: join(root, 'from-offline') });
  expect(second.err).toContain(`process ${owner.child.pid}`);
  await owner.child.stop();
}, 120_000);
