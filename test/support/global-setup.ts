import { migratedDump } from './migrated-dump.ts';

/**
 * Once a run, before the workers start: each would make the dump for itself otherwise. Tests that import nothing of the
 * product find it by the variable.
 */
export default async function setup(): Promise<void> {
  process.env.TEST_DATABASE_DUMP = await migratedDump();
}
