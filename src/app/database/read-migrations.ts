import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';

/**
 * One step of the schema. Its number is the level of the versions that know it: a version's own level is the highest
 * number in its directory.
 */
export type Migration = Readonly<{
  name: string;
  sql: string;
  checksum: string;
  level: number;
  /**
   * The lowest level that still works on the schema after this step; null: that is not declared (the steps until
   * `LAST_UNDECLARED_LEVEL`), and only versions that know the step work on it.
   */
  minimumLevel: number | null;
  /** Whether its statements run in one transaction; otherwise each by itself, and each may be run again. */
  isTransactional: boolean;
}>;

/**
 * Steps until this one were released before steps declared what they are compatible with. They never change, so that
 * they have no first line that says so.
 */
export const LAST_UNDECLARED_LEVEL = 18;

const DIRECTORY = new URL('./migrations/', import.meta.url);
const NAME = /^(\d{4})-[a-z0-9-]+\.sql$/;
const DECLARATION = /^-- bulkhead: (?:(expand)|contract (\d{4}))(, no transaction)?$/;

/** The migrations in the order of their names, `0001-….sql` first. Throws for one that declares nothing. */
export async function readMigrations(directory: URL = DIRECTORY): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => parseMigration(name, await readFile(new URL(name, directory), 'utf8'))),
  );
}

/** Reads the first line of a migration: `-- bulkhead: expand`, or `contract 0019`; with `, no transaction` behind. */
export function parseMigration(name: string, sql: string): Migration {
  const level = Number(NAME.exec(name)?.[1]);
  if (Number.isNaN(level))
    throw new Error(`${name} is no name of a migration, such as 0019-what-it-does.sql.`);
  const checksum = createHash('sha256').update(sql).digest('hex');
  if (level <= LAST_UNDECLARED_LEVEL) {
    return { name, sql, checksum, level, minimumLevel: null, isTransactional: true };
  }
  const declared = DECLARATION.exec(sql.split('\n', 1)[0] ?? '');
  if (declared === null) {
    throw new Error(
      `${name} does not begin with "-- bulkhead: expand" or "-- bulkhead: contract <level>": see CONTRIBUTING.md.`,
    );
  }
  const [, expands, contracts, withoutTransaction] = declared;
  // An expansion is compatible with every version that this table of steps exists for.
  const minimumLevel = expands === undefined ? Number(contracts) : LAST_UNDECLARED_LEVEL;
  if (minimumLevel > level) throw new Error(`${name} needs level ${minimumLevel}, which comes after it.`);
  return { name, sql, checksum, level, minimumLevel, isTransactional: withoutTransaction === undefined };
}
