import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { demoFileSchema } from '#cli/demo-file.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const readySchema = demoFileSchema.extend({ engine: z.string(), data_directory: z.string() });

let root: string;
let data: string;
const children = new Set<ChildProcess>();
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bulkhead-up-'));
  data = join(root, 'data');
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(root, { recursive: true, force: true });
});

/** A real `bulkhead up`, as npm start runs it. */
function up(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [MAIN, 'up', '--json'], {
    cwd: root,
    env: { PATH: process.env.PATH, PORT: '0', BULKHEAD_DATA_DIR: data, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += String(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += String(chunk);
  });
  const exited = once(child, 'exit').then(([code]) => Number(code));
  return {
    child,
    exited,
    err: () => err,
    async ready() {
      await Promise.race([
        expect.poll(() => out, { timeout: 55_000 }).toContain('\n'),
        exited.then((code) => {
          throw new Error(`up ended with ${code}: ${err}`);
        }),
      ]);
      return readySchema.parse(JSON.parse(out));
    },
  };
}

const ask = (url: string, key: string, path: string) =>
  fetch(`${url}${path}`, { headers: { authorization: `Bearer ${key}` } });

it('starts, is alone on its data directory, survives kill -9 with the same keys, and stops cleanly', async () => {
  const first = up();
  const ready = await first.ready();
  expect(ready.engine).toBe('extractive');
  expect(ready.tenants.map(({ tenant_id }) => tenant_id)).toEqual(['acme', 'globex']);
  const demo = demoFileSchema.parse(JSON.parse(await readFile(join(data, 'demo.json'), 'utf8')));
  expect(demo).toMatchObject({ url: ready.url, operator_key: ready.operator_key, tenants: ready.tenants });
  for (const file of ['demo.json', 'demo-state.json', 'secrets.json']) {
    expect((await stat(join(data, file))).mode & 0o777).toBe(0o600);
  }
  for (const { api_key, admin_key } of ready.tenants) {
    expect((await ask(ready.url, api_key, '/v1/models')).status).toBe(200);
    expect((await ask(ready.url, admin_key, '/admin/tenants')).status).toBe(200);
  }

  const second = up();
  expect(await second.exited).toBe(1);
  expect(second.err()).toContain(`process ${first.child.pid}`);
  expect(second.err()).toContain(data);

  first.child.kill('SIGKILL');
  await first.exited;
  const third = up();
  const again = await third.ready();
  expect(again).toMatchObject({ operator_key: ready.operator_key, tenants: ready.tenants });
  expect((await ask(again.url, ready.tenants[0]?.api_key ?? '', '/v1/models')).status).toBe(200);

  third.child.kill('SIGTERM');
  expect(await third.exited).toBe(0);
  expect(existsSync(join(data, 'bulkhead.lock'))).toBe(false);
}, 180_000);

it('gives up while it starts when it is told to, and lets go of the directory', async () => {
  const directory = join(root, 'stopped');
  const starting = up({ BULKHEAD_DATA_DIR: directory });
  await expect.poll(() => existsSync(join(directory, 'bulkhead.lock')), { timeout: 20_000 }).toBe(true);
  starting.child.kill('SIGTERM');
  expect(await starting.exited).toBe(130);
  expect(existsSync(join(directory, 'bulkhead.lock'))).toBe(false);
}, 90_000);

it('makes no tenants without the demo', async () => {
  const directory = join(root, 'plain');
  const plain = up({ BULKHEAD_DATA_DIR: directory, BULKHEAD_DEMO: 'off' });
  const ready = await plain.ready();
  expect(ready.tenants).toEqual([]);
  expect(existsSync(join(directory, 'demo.json'))).toBe(false);
  const tenants = await ask(ready.url, ready.operator_key, '/admin/tenants');
  expect(await tenants.json()).toMatchObject({ data: [] });
  plain.child.kill('SIGINT');
  expect(await plain.exited).toBe(0);
}, 90_000);
