import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { startChildService, untilReady } from './child-service.ts';
import { findProgram, versionedDirectories } from './find-program.ts';
import { freePort } from './free-port.ts';
import { NotInstalledError, type StartedServer } from './started-server.ts';

const run = promisify(execFile);

export type StartedPostgres = StartedServer &
  Readonly<{
    /** A superuser's URL, for what the tests' login may not do. */
    adminUrl: string;
    /** `kill -9` of the server and all of its backends. */
    crash(): Promise<void>;
    /** Stops the server and all of its backends where they are (SIGSTOP), and lets them go on. */
    freeze(): Promise<void>;
    thaw(): Promise<void>;
    /** Starts it again on the same data and port, and waits until it answers. */
    restart(): Promise<void>;
  }>;

/**
 * A PostgreSQL server of our own in a temporary directory, on a free port of 127.0.0.1. Tests find it by
 * `TEST_POSTGRES_URL`: a login that is no superuser and cannot bypass row-level security, as in production, but
 * may create databases and roles. `durable`: what is committed survives `crash()`.
 */
export async function startPostgres({ durable = false } = {}): Promise<StartedPostgres> {
  const initdb = findProgram('initdb', {
    override: 'INITDB',
    directories: versionedDirectories('/usr/lib/postgresql', 'bin'),
  });
  if (initdb === null) throw new NotInstalledError('no initdb on the PATH or in /usr/lib/postgresql/*/bin');
  // `initdb` may be a link into the directory that holds the rest.
  const postgres =
    findProgram('postgres', { override: 'POSTGRES', directories: [dirname(initdb)] }) ??
    findProgram('postgres', {
      override: 'POSTGRES',
      directories: versionedDirectories('/usr/lib/postgresql', 'bin'),
    });
  if (postgres === null) throw new NotInstalledError(`${initdb} has no postgres beside it`);

  const owner = serverOwner();
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-postgres-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const data = join(directory, 'data');
    const passwordFile = join(directory, 'password');
    const password = randomBytes(16).toString('hex');
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (owner !== null) {
      await chown(directory, owner.uid, owner.gid);
      await chown(passwordFile, owner.uid, owner.gid);
    }
    const auth = ['--auth=scram-sha-256', '--username=postgres', `--pwfile=${passwordFile}`];
    await run(initdb, [...auth, '--encoding=UTF8', '--locale=C', '--no-sync', '--pgdata', data], {
      cwd: directory,
      ...(owner ?? {}),
    });

    const port = await freePort();
    const settings = [
      'listen_addresses=127.0.0.1',
      `unix_socket_directories=${directory}`,
      'fsync=off',
      `synchronous_commit=${durable ? 'on' : 'off'}`,
      'max_connections=100',
    ];
    const start = () =>
      startChildService({
        name: 'PostgreSQL',
        command: postgres,
        args: ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
        cwd: directory,
        ...(owner ?? {}),
      });
    let service = start();
    const signalAll = async (signal: NodeJS.Signals) => {
      for (const pid of [service.pid, ...(await childrenOf(service.pid))]) kill(pid, signal);
    };
    const admin = `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`;
    const login = { user: 'bulkhead', password: randomBytes(16).toString('hex') };
    await untilReady(service, () => createLogin(admin, login), 60_000);
    return {
      name: 'PostgreSQL',
      adminUrl: admin,
      async crash() {
        // Backends have process groups of their own.
        const backends = await childrenOf(service.pid);
        await service.kill();
        for (const pid of backends) kill(pid);
      },
      freeze: () => signalAll('SIGSTOP'),
      thaw: () => signalAll('SIGCONT'),
      async restart() {
        service = start();
        await untilReady(service, () => answers(admin), 60_000);
      },
      env: {
        TEST_POSTGRES_URL: `postgresql://${login.user}:${login.password}@127.0.0.1:${port}/postgres`,
        // Its superuser, for what an operator does as one. No service gets it.
        TEST_POSTGRES_ADMIN_URL: admin,
      },
      async stop() {
        await service.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** PostgreSQL refuses to run as root: the user `postgres` owns it then, or else `nobody`. */
function serverOwner(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (flag: string) =>
        Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: 'pipe' }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // The next one.
    }
  }
  throw new NotInstalledError('PostgreSQL does not run as root, and there is no user postgres or nobody');
}

async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.split('\n').map(Number).filter(Boolean);
}

function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended with its server.
  }
}

async function answers(url: string): Promise<true> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  await client.connect();
  await client.end();
  return true;
}

async function createLogin(admin: string, login: { user: string; password: string }): Promise<true> {
  const client = new pg.Client({ connectionString: admin, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    await client.query(
      `CREATE ROLE ${login.user} LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB CREATEROLE PASSWORD '${login.password}'`,
    );
    return true;
  } finally {
    await client.end();
  }
}
