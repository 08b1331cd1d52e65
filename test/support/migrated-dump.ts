import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { migrate } from '#app/database/migrate.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = join(ROOT, '.cache', 'test-database');
const SOURCES = join(ROOT, 'src', 'app', 'database');

/**
 * The path of a dump of an empty, migrated PGlite, for `loadDataDir`. Initialising and migrating one takes 4 s of CPU
 * time, loading the dump 0.5 s. It is kept in `.cache`, under a name that changes with the migrations, the code that
 * applies them, and PGlite itself.
 */
export async function migratedDump(): Promise<string> {
  const name = `${await fingerprint()}.tar`;
  const known = await readdir(CACHE).catch((): string[] => []);
  if (known.includes(name)) return join(CACHE, name);
  const dump = await createDump();
  await mkdir(CACHE, { recursive: true });
  // Renamed when complete: another run may look for it meanwhile.
  const partial = join(CACHE, `${name}.${randomUUID()}`);
  await writeFile(partial, dump);
  await rename(partial, join(CACHE, name));
  await Promise.all(known.map((older) => rm(join(CACHE, older), { force: true })));
  return join(CACHE, name);
}

async function fingerprint(): Promise<string> {
  const paths = (await readdir(SOURCES, { recursive: true }))
    .filter((path) => /\.(?:sql|ts)$/.test(path) && !path.endsWith('.test.ts'))
    .sort();
  const pglite = join(
    dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite')),
    '../package.json',
  );
  const hash = createHash('sha256').update(await readFile(pglite));
  for (const path of paths) hash.update(path).update(await readFile(join(SOURCES, path)));
  return hash.digest('hex');
}

async function createDump(): Promise<Buffer> {
  const pglite = await PGlite.create();
  try {
    await migrate({
      ...queriesOf(pglite),
      transaction: (work) => pglite.transaction((transaction) => work(queriesOf(transaction))),
    });
    return Buffer.from(await (await pglite.dumpDataDir('none')).arrayBuffer());
  } finally {
    await pglite.close();
  }
}

const queriesOf = (session: Pick<PGlite, 'exec' | 'query'>) => ({
  run: async (sql: string) => {
    await session.exec(sql);
  },
  query: async (sql: string, parameters: readonly unknown[] = []) =>
    (await session.query<Record<string, unknown>>(sql, [...parameters])).rows,
});
