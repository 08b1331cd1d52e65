import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { type ChildService, startChildService, untilReady } from './child-service.ts';

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** Opening an embedded database for the first time takes seconds, more on a busy machine. */
const START_MS = 120_000;

/** What `bulkhead up --json` prints when it is up. */
const announcementSchema = z.object({ url: z.url(), operator_key: z.string(), log_file: z.string() });

/** A platform under test, in whatever shape. */
export type Platform = Readonly<{
  url: string;
  operatorKey: string;
  /** Everything that its processes have logged and printed. */
  log(): Promise<string>;
}>;

export type Bulkhead = Platform &
  Readonly<{
    dataDirectory: string;
    child: ChildService;
    /** Stops it and removes its data directory. */
    dispose(): Promise<void>;
  }>;

/** The environment of a started process: nothing of ours but what programs need, and these settings. */
export function cleanEnvironment(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE } = process.env;
  return {
    ...(PATH === undefined ? {} : { PATH }),
    ...(HOME === undefined ? {} : { HOME }),
    ...(TMPDIR === undefined ? {} : { TMPDIR }),
    ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }),
    ...settings,
  };
}

/**
 * Where a test run has a dump of an empty, migrated database, the directory holds it already: initialising one takes 4 s
 * of CPU time. `src/cli/up/up.test.ts` and `scripts/check-first-run.ts` start on an empty directory.
 */
export async function newDataDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-data-'));
  const dump = process.env.TEST_DATABASE_DUMP;
  if (dump !== undefined) {
    const database = join(directory, 'database');
    await mkdir(database, { mode: 0o700 });
    await run('tar', ['-xf', dump, '-C', database]);
  }
  return directory;
}

/** An API key that no store has made: `bk_<26>_<43>`. */
export function newOperatorKey(): string {
  const id = [...randomBytes(26)].map((byte) => (byte % 32).toString(32)).join('');
  return `bk_${id}_${randomBytes(32).toString('base64url')}`;
}

/** Spawns `bulkhead up` without waiting for it. Without a demo, on a free port, in a directory with no `.env`. */
export function spawnBulkhead(
  dataDirectory: string,
  env: Readonly<Record<string, string>> = {},
): ChildService {
  return startChildService({
    name: 'bulkhead up',
    command: process.execPath,
    args: [CLI, 'up', '--json'],
    cwd: dataDirectory,
    env: cleanEnvironment({ BULKHEAD_DATA_DIR: dataDirectory, BULKHEAD_DEMO: 'off', PORT: '0', ...env }),
  });
}

/** `bulkhead up` as a process of its own, ready to be asked. A new data directory, where none is named. */
export async function startBulkhead(
  options: { dataDirectory?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Bulkhead> {
  const dataDirectory = options.dataDirectory ?? (await newDataDirectory());
  const child = spawnBulkhead(dataDirectory, options.env);
  const { url, operator_key, log_file } = await untilReady(
    child,
    async () => {
      const line = child.stdout().split('\n')[0];
      if (line === undefined || !child.stdout().includes('\n')) return undefined;
      return announcementSchema.parse(JSON.parse(line));
    },
    START_MS,
  );
  return {
    url,
    operatorKey: operator_key,
    dataDirectory,
    child,
    log: async () => `${await readFile(log_file, 'utf8')}\n${child.stdout()}\n${child.stderr()}`,
    async dispose() {
      await child.stop();
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}
