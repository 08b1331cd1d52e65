import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installState, nodeBinary, takeInstallLock } from '../scripts/bootstrap.mjs';

const SCRIPT = fileURLToPath(new URL('../scripts/bootstrap.mjs', import.meta.url));
const PACKAGES = {
  '': { version: '0.1.0' },
  'node_modules/a': { version: '1.0.0' },
  'node_modules/tool': { version: '2.0.0', dev: true },
  'node_modules/for-another-system': { version: '3.0.0', optional: true },
};

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bulkhead-bootstrap-'));
  await mkdir(dirname(nodeBinary(root)), { recursive: true });
  await writeFile(nodeBinary(root), '');
  await lockfile(PACKAGES);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const lockfile = (packages: object) =>
  writeFile(join(root, 'package-lock.json'), JSON.stringify({ packages }));
const installed = (packages: object) =>
  writeFile(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages }));

describe('installState', () => {
  it('is missing without node_modules, and after an install that was cut off', async () => {
    expect(installState(root)).toBe('missing');
    await rm(join(root, 'node_modules'), { recursive: true });
    expect(installState(root)).toBe('missing');
  });

  it('is ready after an install by hand; packages for other systems may be absent', async () => {
    await installed({
      'node_modules/a': { version: '1.0.0' },
      'node_modules/tool': { version: '2.0.0', dev: true },
    });
    expect(installState(root)).toBe('ready');
  });

  it('is stale when a version moved or a package came', async () => {
    await installed(PACKAGES);
    expect(installState(root)).toBe('ready');
    await lockfile({ ...PACKAGES, 'node_modules/a': { version: '1.0.1' } });
    expect(installState(root)).toBe('stale');
    await lockfile({ ...PACKAGES, 'node_modules/new': { version: '1.0.0' } });
    expect(installState(root)).toBe('stale');
  });

  it('is ready without the development packages in production only', async () => {
    await installed({ 'node_modules/a': { version: '1.0.0' } });
    expect(installState(root, true)).toBe('ready');
    expect(installState(root, false)).toBe('stale');
  });
});

describe('takeInstallLock', () => {
  it('lets a second run wait for the first', async () => {
    const code = `const { takeInstallLock } = await import(${JSON.stringify(SCRIPT)});
      const lock = await takeInstallLock(${JSON.stringify(root)}); console.log('held');
      process.stdin.once('data', () => { console.log('released'); lock.release(); process.stdin.unref(); });`;
    const first = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(first.stdout, 'data');
    const order: string[] = [];
    first.stdout.on('data', (chunk: Buffer) => order.push(String(chunk).trim()));
    const second = takeInstallLock(root, () => order.push('waits'));
    await expect.poll(() => order).toEqual(['waits']);
    first.stdin.write('go');
    (await second).release();
    first.kill();
    expect(order).toEqual(['waits', 'released']);
    expect(existsSync(join(root, '.cache/install.lock'))).toBe(false);
  });

  it('takes over from a run that was killed, but not while its npm is at work', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    const npm = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await mkdir(join(root, '.cache'));
    await writeFile(join(root, '.cache/install.lock'), `${dead} ${npm.pid}`);
    let waited = false;
    const taken = takeInstallLock(root, () => {
      waited = true;
    });
    await expect.poll(() => waited).toBe(true);
    expect(await readFile(join(root, '.cache/install.lock'), 'utf8')).toBe(`${dead} ${npm.pid}`);
    npm.kill('SIGKILL');
    await once(npm, 'exit');
    (await taken).release();
  });
});

describe('the script', () => {
  it('does nothing, silently, when all is there', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});
