import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, Session, type Table } from '@lancedb/lancedb';
import { z } from 'zod';
import type { TenantId } from '#app/ids.ts';
import { DIRECTORY_MODE, hasCode, replaceFile, syncDirectory } from '#rag/files/durable-files.ts';
import { tenantDirectory } from '#rag/files/vault-paths.ts';
import { chunkTableSchema } from '#rag/index/chunk-table.ts';
import { createWordAndFilterIndices, hasVectorIndex } from '#rag/index/lance-indices.ts';
import { createSerialQueue, type SerialQueue } from '#rag/index/serial-queue.ts';

/** Raise it when columns, tokenizer or search text change: indices of other formats are made anew. */
export const INDEX_FORMAT = 3;

const TABLE = 'chunks';
const MANIFEST = 'index.json';

const manifestSchema = z.object({
  format: z.int(),
  embedder_id: z.string(),
  dimensions: z.int().positive(),
});

/** An open table of one tenant, with what its readers and its one writer share. */
export type TenantTable = {
  readonly table: Table;
  /** Every write goes through here, one at a time. */
  readonly writes: SerialQueue;
  /** Searches under way: what they may still read is not erased. */
  readonly reads: Set<Promise<unknown>>;
  hasVectorIndex: boolean;
  commitsSinceCompaction: number;
  compactionTimer: NodeJS.Timeout | undefined;
};

export type TenantTablesOptions = Readonly<{
  directory: string;
  dimensions: number;
  embedderId: string;
  /** Tables kept open. The least recently used one that nobody uses is closed first. */
  maxOpen: number;
  indexCacheBytes: number;
  metadataCacheBytes: number;
  /** Told of every table that was opened, before its first use. */
  onOpen(tenantId: TenantId, open: TenantTable): void;
}>;

type Entry = {
  leases: number;
  open: TenantTable | undefined;
  opening: Promise<TenantTable | undefined> | undefined;
};

/** The tables of tenants, opened when they are first used: a directory each, named by the tenant id. */
export type TenantTables = {
  /** Uses a tenant's table; undefined, without running the work, when there is none of the present format. */
  useExisting<Result>(
    tenantId: TenantId,
    work: (open: TenantTable) => Promise<Result>,
  ): Promise<Result | undefined>;
  /** Uses a tenant's table, made first where there is none. One of another embedder or format is thrown away. */
  useOrCreate<Result>(tenantId: TenantId, work: (open: TenantTable) => Promise<Result>): Promise<Result>;
  /** Closes a tenant's table when its reads and writes under way have ended, and removes its directory. */
  remove(tenantId: TenantId): Promise<void>;
  readonly openCount: number;
  /** Waits for writes, and closes every table. Later uses throw. */
  close(): Promise<void>;
};

export function createTenantTables(options: TenantTablesOptions): TenantTables {
  const { directory, dimensions, embedderId, maxOpen } = options;
  // One cache for all: by default every connection may take 7 GB.
  const session = new Session(BigInt(options.indexCacheBytes), BigInt(options.metadataCacheBytes));
  const entries = new Map<TenantId, Entry>();
  let closed = false;

  async function openTable(tenantId: TenantId, path: string): Promise<TenantTable> {
    const connection = await connect(path, { session });
    try {
      const table = await connection.openTable(TABLE);
      const open: TenantTable = {
        table,
        writes: createSerialQueue(),
        reads: new Set(),
        hasVectorIndex: await hasVectorIndex(table),
        commitsSinceCompaction: 0,
        compactionTimer: undefined,
      };
      options.onOpen(tenantId, open);
      return open;
    } finally {
      connection.close();
    }
  }

  async function isUsable(path: string): Promise<boolean> {
    try {
      const manifest = manifestSchema.safeParse(JSON.parse(await readFile(join(path, MANIFEST), 'utf8')));
      return (
        manifest.success &&
        manifest.data.format === INDEX_FORMAT &&
        manifest.data.embedder_id === embedderId &&
        manifest.data.dimensions === dimensions
      );
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR') || error instanceof SyntaxError) return false;
      throw error;
    }
  }

  /** The manifest comes last: a directory without one is what a killed process left, and is made anew. */
  async function createTable(tenantId: TenantId, path: string): Promise<TenantTable> {
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
    const connection = await connect(path, { session });
    try {
      const table = await connection.createEmptyTable(TABLE, chunkTableSchema(dimensions));
      await createWordAndFilterIndices(table);
      table.close();
    } finally {
      connection.close();
    }
    const manifest = { format: INDEX_FORMAT, embedder_id: embedderId, dimensions };
    await replaceFile(join(path, MANIFEST), JSON.stringify(manifest));
    await syncDirectory(directory);
    return openTable(tenantId, path);
  }

  /** Opens once for all who wait; a creator that finds an opening without result under way goes after it. */
  async function openEntry(
    tenantId: TenantId,
    entry: Entry,
    create: boolean,
  ): Promise<TenantTable | undefined> {
    const path = tenantDirectory(directory, tenantId);
    for (;;) {
      if (entry.open !== undefined) return entry.open;
      const others = entry.opening;
      if (others !== undefined) {
        const open = await others;
        if (open !== undefined || !create) return open;
        continue;
      }
      const opening = (async () => {
        if (await isUsable(path)) return openTable(tenantId, path);
        return create ? createTable(tenantId, path) : undefined;
      })();
      entry.opening = opening;
      try {
        entry.open = await opening;
        return entry.open;
      } finally {
        entry.opening = undefined;
      }
    }
  }

  function release(tenantId: TenantId, entry: Entry): void {
    entry.leases -= 1;
    if (entry.leases === 0 && entry.open === undefined) entries.delete(tenantId);
    if (entries.size > maxOpen) closeOneUnused();
  }

  function closeOneUnused(): void {
    for (const [tenantId, entry] of entries) {
      if (entry.leases > 0) continue;
      // A timer left behind would open the table again, only to close another.
      clearTimeout(entry.open?.compactionTimer);
      entry.open?.table.close();
      entries.delete(tenantId);
      return;
    }
  }

  async function removeDirectory(tenantId: TenantId, open: TenantTable | undefined): Promise<undefined> {
    if (open !== undefined) {
      await open.writes.idle();
      await Promise.allSettled(open.reads);
      clearTimeout(open.compactionTimer);
      open.table.close();
    }
    await rm(tenantDirectory(directory, tenantId), { recursive: true, force: true });
    await syncDirectory(directory);
  }

  async function remove(tenantId: TenantId): Promise<void> {
    if (closed) throw new Error('The index is closed.');
    const entry: Entry = entries.get(tenantId) ?? { leases: 0, open: undefined, opening: undefined };
    entries.set(tenantId, entry);
    entry.leases += 1;
    try {
      while (entry.opening !== undefined) await entry.opening.catch(() => undefined);
      // Whoever comes meanwhile waits for it as for an opening, and then finds no table.
      const removing = removeDirectory(tenantId, entry.open);
      entry.open = undefined;
      entry.opening = removing;
      try {
        await removing;
      } finally {
        entry.opening = undefined;
      }
    } finally {
      release(tenantId, entry);
    }
  }

  async function use<Result>(
    tenantId: TenantId,
    create: boolean,
    work: (open: TenantTable) => Promise<Result>,
  ): Promise<Result | undefined> {
    if (closed) throw new Error('The index is closed.');
    const entry: Entry = entries.get(tenantId) ?? { leases: 0, open: undefined, opening: undefined };
    // Set again, so that the map is in order of use.
    entries.delete(tenantId);
    entries.set(tenantId, entry);
    entry.leases += 1;
    try {
      const open = await openEntry(tenantId, entry, create);
      return open === undefined ? undefined : await work(open);
    } finally {
      release(tenantId, entry);
    }
  }

  return {
    useExisting: (tenantId, work) => use(tenantId, false, work),
    async useOrCreate(tenantId, work) {
      let result: { value: Awaited<ReturnType<typeof work>> } | undefined;
      await use(tenantId, true, async (open) => {
        result = { value: await work(open) };
      });
      if (result === undefined) throw new Error('A tenant’s index was not made.');
      return result.value;
    },
    remove,
    get openCount() {
      return entries.size;
    },
    async close() {
      closed = true;
      for (const entry of [...entries.values()]) {
        await entry.opening?.catch(() => undefined);
        clearTimeout(entry.open?.compactionTimer);
        await entry.open?.writes.idle();
        clearTimeout(entry.open?.compactionTimer);
        await Promise.allSettled(entry.open?.reads ?? []);
        entry.open?.table.close();
      }
      entries.clear();
    },
  };
}
