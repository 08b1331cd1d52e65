import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataDirectoryError } from '#app/data-directory/data-directory-error.ts';
import { lockDataDirectory } from '#app/data-directory/data-directory-lock.ts';
import { pidSpace, processStart } from '#app/data-directory/process-identity.ts';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bulkhead-lock-'));
  file = join(directory, 'bulkhead.lock');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const holder = (fields: Record<string, unknown> = {}) =>
  JSON.stringify({
    id: 'somebody',
    pid: process.pid,
    pid_space: pidSpace(),
    process_start: processStart(process.pid),
    started_at: '2026-01-01T00:00:00.000Z',
    ...fields,
  });

/** A real process that takes the lock and holds it until it is killed. */
async function holdInAnotherProcess() {
  const url = new URL('./data-directory-lock.ts', import.meta.url).href;
  const code = `const { lockDataDirectory } = await import(${JSON.stringify(url)});
    await lockDataDirectory(${JSON.stringify(directory)}); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

describe('lockDataDirectory', () => {
  it('makes the directory, private to its user, and leaves no file behind', async () => {
    const fresh = join(directory, 'a', 'b');
    const lock = await lockDataDirectory(fresh);
    expect((await stat(fresh)).mode & 0o777).toBe(0o700);
    await lock.release();
    await expect(stat(join(fresh, 'bulkhead.lock'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('refuses a second live process, naming it and the directory; kill -9 frees it', async () => {
    const child = await holdInAnotherProcess();
    const refused = lockDataDirectory(directory);
    await expect(refused).rejects.toThrow(`process ${child.pid}`);
    await expect(refused).rejects.toThrow(directory);
    await expect(refused).rejects.toThrow(DataDirectoryError);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const lock = await lockDataDirectory(directory);
    await lock.release();
  });

  it('waits for a live process that is about to stop', async () => {
    const child = await holdInAnotherProcess();
    let waits = 0;
    const onWait = () => {
      waits += 1;
      setTimeout(() => child.kill('SIGKILL'), 300);
    };
    await (await lockDataDirectory(directory, { waitMs: 30_000, onWait })).release();
    expect(waits).toBe(1);
  });

  it('takes over from a process id that is used again by another process', async () => {
    await writeFile(file, holder({ process_start: 'another boot 1' }));
    await (await lockDataDirectory(directory)).release();
  });

  it('refuses the same process a second time', async () => {
    const lock = await lockDataDirectory(directory);
    await expect(lockDataDirectory(directory)).rejects.toThrow('is using the data directory');
    await lock.release();
  });

  it('gives a stale lock to exactly one of many that want it', async () => {
    await writeFile(file, holder({ pid: 2 ** 22 + 1 }));
    const tries = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDirectory(directory)));
    const won = tries.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    for (const { value } of won) await value.release();
  });

  it('watches the heartbeat of a holder on another machine: silent is gone', async () => {
    await writeFile(file, holder({ pid_space: 'elsewhere' }));
    const watched: string[] = [];
    const lock = await lockDataDirectory(directory, {
      watchMs: 50,
      onWatch: (who) => watched.push(who),
    });
    expect(watched).toEqual([`process ${process.pid} of elsewhere`]);
    await lock.release();
  });

  it('and one that beats is alive', async () => {
    await writeFile(file, holder({ pid_space: 'elsewhere' }));
    let beat = 0;
    const heart = setInterval(() => utimes(file, ++beat, beat), 20);
    await expect(lockDataDirectory(directory, { watchMs: 5_000 })).rejects.toThrow('elsewhere');
    clearInterval(heart);
  });

  it('takes over a lock that was copied with its directory, while the owner of the original lives', async () => {
    const original = await lockDataDirectory(directory, { heartbeatMs: 20 });
    const copied = join(directory, 'copy');
    await mkdir(copied);
    await copyFile(file, join(copied, 'bulkhead.lock'));
    const copy = await lockDataDirectory(copied, { watchMs: 100 });
    await copy.release();
    // The same directory by another name is no copy.
    await symlink(directory, join(directory, 'link'));
    await expect(lockDataDirectory(join(directory, 'link'), { watchMs: 100 })).rejects.toThrow('is using');
    await original.release();
  });

  it('refuses a live lock that names another directory, as by another mount: its heart beats here', async () => {
    await writeFile(file, holder({ directory: '1:1' }));
    let beat = 0;
    const heart = setInterval(() => utimes(file, ++beat, beat), 20);
    await expect(lockDataDirectory(directory, { watchMs: 5_000 })).rejects.toThrow(`process ${process.pid}`);
    clearInterval(heart);
  });

  it('takes over a file that is no lock at all, once it is silent', async () => {
    await writeFile(file, '{"half');
    await (await lockDataDirectory(directory, { watchMs: 20 })).release();
  });

  it('leaves a lock that is no longer its own', async () => {
    const lock = await lockDataDirectory(directory);
    await writeFile(file, holder());
    await lock.release();
    expect(await readFile(file, 'utf8')).toContain('somebody');
  });

  it('says why the directory cannot be used', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(lockDataDirectory(join(directory, 'file', 'x'))).rejects.toThrow(
      /a file is in the place of a directory \(ENOTDIR\)/,
    );
  });
});
