import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { startChildService } from '../support/child-service.ts';
import { cleanEnvironment } from '../support/start-bulkhead.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const mainOf = (service: string) => fileURLToPath(new URL(`../../src/${service}/main.ts`, import.meta.url));

const pair = generateKeyPairSync('ed25519', {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const INTERNAL_KEYS = {
  INTERNAL_TOKEN_PRIVATE_KEY: pair.privateKey,
  INTERNAL_TOKEN_PUBLIC_KEY: pair.publicKey,
};

const directories: string[] = [];
const mounts: string[] = [];
afterAll(async () => {
  for (const mount of mounts) execFileSync('umount', [mount]);
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-start-'));
  directories.push(directory);
  return directory;
}

/** Null where this user may not mount. */
async function mountDisk(size: string): Promise<string | null> {
  const directory = await newDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory], { stdio: 'pipe' });
  } catch {
    return null;
  }
  mounts.push(directory);
  return directory;
}

function mayRead(file: string, user: { uid: number; gid: number }): boolean {
  try {
    execFileSync('test', ['-r', file], { ...user });
    return true;
  } catch {
    return false;
  }
}

/** Runs it to its end; it must end by itself with one line and no stack trace. */
async function refusalOf(
  program: readonly string[],
  env: Readonly<Record<string, string>>,
  user: { uid?: number; gid?: number } = {},
): Promise<string> {
  const child = startChildService({
    name: 'bulkhead',
    command: process.execPath,
    args: program,
    cwd: tmpdir(),
    env: cleanEnvironment({ PORT: '0', BULKHEAD_DEMO: 'off', ...env }),
    ...user,
  });
  try {
    expect(await child.exited, child.stderr()).toBe(1);
    expect(child.stderr()).not.toMatch(/^\s+at /m);
    expect(child.stderr().trim().split('\n').length).toBeLessThanOrEqual(2);
    return child.stderr();
  } finally {
    await child.kill();
  }
}

describe('a start that cannot be says why in a line, and exits with 1', { timeout: 60_000 }, () => {
  const up = [CLI, 'up', '--json'];

  it('a data directory on a full disk', async ({ skip }) => {
    const disk = await mountDisk('1m');
    if (disk === null) return skip('no right to mount a disk');
    try {
      appendFileSync(join(disk, 'filler'), Buffer.alloc(2_000_000));
    } catch {
      // Full.
    }
    expect(await refusalOf(up, { BULKHEAD_DATA_DIR: join(disk, 'data') })).toContain(disk);
    mkdirSync(join(disk, 'empty'));
    expect(await refusalOf(up, { BULKHEAD_DATA_DIR: join(disk, 'empty') })).toMatch(
      /no space is left|MiB free/,
    );
  });

  it('a data directory on a disk with too little room', async ({ skip }) => {
    const disk = await mountDisk('8m');
    if (disk === null) return skip('no right to mount a disk');
    expect(await refusalOf(up, { BULKHEAD_DATA_DIR: disk })).toContain('MiB free');
  });

  it('a data directory on a read-only file system', async ({ skip }) => {
    const disk = await mountDisk('1m');
    if (disk === null) return skip('no right to mount a disk');
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    for (const directory of [disk, join(disk, 'data')]) {
      expect(await refusalOf(up, { BULKHEAD_DATA_DIR: directory })).toMatch(
        /read-only.*\((?:EROFS|ENOENT)\)/,
      );
    }
  });

  it('a data directory of another user', async ({ skip }) => {
    const user = { uid: NOBODY, gid: NOBODY };
    if (!isRoot || !mayRead(CLI, user)) return skip('no other user that may read the program');
    const directory = await newDirectory();
    await chmod(directory, 0o700);
    // Its parent's, and one that it may look into and not write.
    expect(await refusalOf(up, { BULKHEAD_DATA_DIR: join(directory, 'data') }, user)).toContain('EACCES');
    await chmod(directory, 0o755);
    expect(await refusalOf(up, { BULKHEAD_DATA_DIR: directory }, user)).toContain('permission');
    await chown(directory, NOBODY, NOBODY);
  });

  it('a file in the place of the data directory', async () => {
    const file = join(await newDirectory(), 'file');
    writeFileSync(file, '');
    expect(await refusalOf(up, { BULKHEAD_DATA_DIR: file })).toContain(file);
    expect(await refusalOf(up, { BULKHEAD_DATA_DIR: join(file, 'data') })).toContain('ENOTDIR');
  });

  it('a port that is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = String(typeof address === 'object' ? address?.port : '');
    const text = await refusalOf(up, { BULKHEAD_DATA_DIR: await newDirectory(), PORT: port });
    expect(text).toContain(`Port ${port} on 127.0.0.1 is in use`);
    server.close();
  });

  it.each([
    ['postgresql://u:secret-word@127.0.0.1:1/x', /ECONNREFUSED 127.0.0.1:1/],
    ['postgresql://u:secret-word@nowhere.invalid/x', /nowhere\.invalid/],
    ['no url', /DATABASE_URL/],
  ])('a database that cannot be reached: %s', async (DATABASE_URL, expected) => {
    const env = { DATABASE_URL, BULKHEAD_DATA_DIR: await newDirectory() };
    const text = await refusalOf(up, env);
    expect(text).toMatch(expected);
    expect(text).not.toContain('secret-word');
    const services = {
      ORCHESTRATOR_URL: 'http://127.0.0.1:1',
      RAG_SERVICE_URL: 'http://127.0.0.1:1',
      API_KEY_PEPPER: 'p'.repeat(32),
      CACHE_SALT_SECRET: 's'.repeat(32),
      ...INTERNAL_KEYS,
    };
    for (const service of ['router', 'orchestrator', 'rag']) {
      const said = await refusalOf([mainOf(service)], { ...env, ...services });
      expect(said).toMatch(expected);
      expect(said).not.toContain('secret-word');
    }
  });
});
