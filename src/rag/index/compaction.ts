import { createVectorIndex } from '#rag/index/lance-indices.ts';
import type { TenantTable } from '#rag/index/tenant-tables.ts';

/** Commits that may pile up before a compaction: 90 of them made searches ten times slower. */
export const COMMITS_BEFORE_COMPACTION = 24;

/** A table that nobody wrote to for this long is compacted, so that an ingest ends with a fast index. */
export const COMPACTION_IDLE_MS = 2_000;

/**
 * Merges the fragments that single commits left, takes new rows into the word and filter indices, builds the
 * graphs when the table has outgrown exact search, and erases from disk what was deleted. Runs in the table's
 * write queue; searches go on.
 */
export async function compact(open: TenantTable, exactSearchMaxRows: number): Promise<void> {
  open.commitsSinceCompaction = 0;
  await open.table.optimize();
  if (!open.hasVectorIndex) {
    const rows = await open.table.countRows();
    if (rows > exactSearchMaxRows) {
      await createVectorIndex(open.table, rows);
      open.hasVectorIndex = true;
    }
  }
  // Versions before this moment are replaced, and searches that began earlier may still read them: wait for
  // those, and no others. Then the text of deleted documents leaves the disk as well.
  const replacedBefore = new Date();
  await Promise.allSettled(open.reads);
  await open.table.optimize({ cleanupOlderThan: replacedBefore });
}
