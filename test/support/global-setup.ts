import { migratedDump } from './migrated-dump.ts';

/** Once a run, before the workers start: each would make the dump for itself otherwise. */
export default async function setup(): Promise<void> {
  await migratedDump();
}
