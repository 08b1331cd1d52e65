import { mkdir } from 'node:fs/promises';
import { MatchQuery, type Table } from '@lancedb/lancedb';
import type { Table as ArrowTable } from 'apache-arrow';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { DocumentId, TenantId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';
import { untilAborted } from '#app/until-aborted.ts';
import { DIRECTORY_MODE } from '#rag/files/durable-files.ts';
import {
  type ArrowRows,
  decodeHits,
  decodeNumber,
  decodeText,
  decodeVector,
  encodeChunks,
  HIT_COLUMNS,
} from '#rag/index/chunk-table.ts';
import { COMMITS_BEFORE_COMPACTION, COMPACTION_IDLE_MS, compact } from '#rag/index/compaction.ts';
import { toLanceSql } from '#rag/index/lance-filter.ts';
import { EXACT_SEARCH_MAX_ROWS, searchGraphs } from '#rag/index/lance-indices.ts';
import { createTenantTables, type TenantTable } from '#rag/index/tenant-tables.ts';
import type { VaultFilter } from '#rag/index/vault-filter.ts';
import type {
  IndexedChunk,
  IndexedDocument,
  VaultHit,
  VaultIndex,
  VaultSearch,
} from '#rag/index/vault-index.ts';
import { fuseByReciprocalRank } from '#rag/rank/reciprocal-rank-fusion.ts';

export type LanceVaultIndexOptions = Readonly<{
  /** Holds a directory a tenant. One process at a time may use it. */
  directory: string;
  dimensions: number;
  /** Indices made by another embedder are thrown away at their first write, and empty until then. */
  embedderId: string;
  /** Told of failures of compaction, which nobody waits for. */
  onBackgroundError(error: unknown, tenantId: TenantId): void;
  maxOpenTenants?: number;
  /** Tables with more rows are searched over graphs, not exactly. */
  exactSearchMaxRows?: number;
  indexCacheBytes?: number;
  metadataCacheBytes?: number;
}>;

const QUERY_TIMEOUT_MS = 15_000;
/** A question has fewer; a pasted page costs time and ranks no better. */
const MAX_QUERY_WORDS = 64;
const MAX_HASHES_A_LOOKUP = 500;
/** About 5 ms of decoding. */
const ROWS_A_TURN = 1_024;

/** The vault index on LanceDB, embedded: a directory a tenant, so that no filter stands between tenants. */
export async function createLanceVaultIndex(options: LanceVaultIndexOptions): Promise<VaultIndex> {
  const { directory, dimensions, embedderId, onBackgroundError } = options;
  const { exactSearchMaxRows = EXACT_SEARCH_MAX_ROWS } = options;
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  const tables = createTenantTables({
    directory,
    dimensions,
    embedderId,
    maxOpen: options.maxOpenTenants ?? 1_024,
    indexCacheBytes: options.indexCacheBytes ?? 256 * 2 ** 20,
    metadataCacheBytes: options.metadataCacheBytes ?? 64 * 2 ** 20,
    // A process may have stopped before it compacted.
    onOpen: compactWhenIdle,
  });

  /** Queued like a write, so that writers that pile up wait for it and cannot outrun it. */
  function compactNow(tenantId: TenantId, isDue: (open: TenantTable) => boolean): void {
    tables
      .useExisting(tenantId, (open) =>
        open.writes.run(async () => {
          if (isDue(open)) await compact(open, exactSearchMaxRows);
        }),
      )
      .catch((error: unknown) => onBackgroundError(error, tenantId));
  }

  function compactWhenIdle(tenantId: TenantId, open: TenantTable): void {
    clearTimeout(open.compactionTimer);
    open.compactionTimer = setTimeout(() => compactNow(tenantId, () => true), COMPACTION_IDLE_MS).unref();
  }

  function write(context: TenantContext, open: TenantTable, commit: () => Promise<unknown>): Promise<void> {
    return open.writes.run(async () => {
      await commit();
      open.commitsSinceCompaction += 1;
      compactWhenIdle(context.tenantId, open);
      const isDue = (current: TenantTable) => current.commitsSinceCompaction >= COMMITS_BEFORE_COMPACTION;
      if (isDue(open)) compactNow(context.tenantId, isDue);
    });
  }

  /** Counts a read as under way until it has ended, also when its caller stopped waiting. */
  function read<Result>(
    context: TenantContext,
    work: (open: TenantTable) => Promise<Result>,
  ): Promise<Result | undefined> {
    return tables.useExisting(context.tenantId, async (open) => {
      const reading = work(open);
      open.reads.add(reading);
      try {
        return await reading;
      } finally {
        open.reads.delete(reading);
      }
    });
  }

  async function replaceRows(table: Table, documentId: DocumentId, rows: ArrowTable): Promise<void> {
    const ofDocument = toLanceSql({ op: 'eq', field: 'document_id', value: documentId });
    // A merge reads the whole table (95 ms at 100,000 rows), so only what replaces something pays for it.
    if ((await table.countRows(ofDocument)) === 0) {
      await table.add(rows);
      return;
    }
    await table
      .mergeInsert('chunk_id')
      .whenMatchedUpdateAll()
      .whenNotMatchedInsertAll()
      .whenNotMatchedBySourceDelete({ where: ofDocument })
      .execute(rows);
  }

  async function removeDocuments(context: TenantContext, documentIds: readonly DocumentId[]): Promise<void> {
    if (documentIds.length === 0) return;
    const predicate = toLanceSql({ op: 'in', field: 'document_id', values: documentIds });
    await tables.useExisting(context.tenantId, (open) =>
      write(context, open, () => open.table.delete(predicate)),
    );
  }

  return {
    async replaceDocument(context, documentId, chunks) {
      refuseForeignChunks(context, documentId, chunks);
      if (chunks.length === 0) {
        await removeDocuments(context, [documentId]);
        return;
      }
      // Before its turn to write, which other documents of the tenant wait for.
      const rows = await encodeChunks(chunks, dimensions, () => turnOfTenant(context.tenantId));
      await tables.useOrCreate(context.tenantId, (open) =>
        write(context, open, () => replaceRows(open.table, documentId, rows)),
      );
    },

    removeDocuments,

    async search(context, search, signal) {
      signal.throwIfAborted();
      const where = visibleSql(context, search.filter);
      const hits = await untilAborted(
        read(context, (open) => searchTable(open, search, where)),
        signal,
      );
      return hits ?? [];
    },

    async count(context, filter) {
      const where = visibleSql(context, filter);
      return (await read(context, ({ table }) => table.countRows(where))) ?? 0;
    },

    async findVectors(context, hashes) {
      const found = new Map<string, Float32Array>();
      const own = visibleSql(context, { op: 'eq', field: 'user_id', value: context.userId });
      for (let from = 0; from < hashes.length; from += MAX_HASHES_A_LOOKUP) {
        const wanted = hashes.slice(from, from + MAX_HASHES_A_LOOKUP).map(hashLiteral);
        const rows = await read(context, ({ table }) =>
          table
            .query()
            .where(`${own} AND search_text_hash IN (${wanted.join(', ')})`)
            .select(['search_text_hash', 'vector'])
            .toArrow({ timeoutMs: QUERY_TIMEOUT_MS }),
        );
        for (let row = 0; rows !== undefined && row < rows.numRows; row++) {
          found.set(decodeText(rows, 'search_text_hash', row), decodeVector(rows, row));
        }
      }
      return found;
    },

    async listDocuments(context) {
      const rows = await read(context, ({ table }) =>
        table.query().select(['tenant_id', 'document_id', 'content_hash']).toArrow(),
      );
      return rows === undefined ? new Map() : documentsOf(rows, context.tenantId);
    },

    async optimize(context) {
      await tables.useExisting(context.tenantId, (open) =>
        open.writes.run(() => compact(open, exactSearchMaxRows)),
      );
    },

    async clear(context) {
      await tables.useExisting(context.tenantId, (open) =>
        open.writes.run(async () => {
          await open.table.delete('TRUE');
          await compact(open, exactSearchMaxRows);
        }),
      );
    },

    erase: (context) => tables.remove(context.tenantId),

    close: () => tables.close(),
  };
}

async function searchTable(open: TenantTable, search: VaultSearch, where: string): Promise<VaultHit[]> {
  const { query, limit } = search;
  if (query.mode === 'dense') return searchVectors(open, query.vector, limit, where);
  if (query.mode === 'words') return searchWords(open, query.text, limit, where);
  const [dense, words] = await Promise.all([
    searchVectors(open, query.vector, limit, where),
    searchWords(open, query.text, limit, where),
  ]);
  return fuseByReciprocalRank([dense, words], (hit) => hit.chunk.chunk_id)
    .slice(0, limit)
    .map(({ item, score }) => ({ ...item, score }));
}

/** Score: the cosine, of unit vectors whose squared distance is 2 - 2 cos. */
async function searchVectors(
  open: TenantTable,
  vector: Float32Array,
  limit: number,
  where: string,
): Promise<VaultHit[]> {
  // `where` filters before ranking; `postfilter()` must never be called: it returned nothing of a small tenant.
  const query = () => open.table.query().nearestTo(vector).distanceType('l2').where(where).limit(limit);
  const run = async (made: ReturnType<typeof query>) => {
    const rows = await made.select([...HIT_COLUMNS, '_distance']).toArrow({ timeoutMs: QUERY_TIMEOUT_MS });
    return decodeHits(rows, (row) => 1 - decodeNumber(rows, '_distance', row) / 2);
  };
  if (!open.hasVectorIndex) return run(query());
  const hits = await run(searchGraphs(query(), limit));
  // A graph may find fewer than there are behind a narrow filter; comparing all of those is quick.
  return hits.length < limit ? run(query().bypassVectorIndex()) : hits;
}

async function searchWords(
  open: TenantTable,
  text: string,
  limit: number,
  where: string,
): Promise<VaultHit[]> {
  const words = [...new Set(text.toLowerCase().match(/[\p{L}\p{N}\p{M}_]+/gu))].slice(0, MAX_QUERY_WORDS);
  if (words.length === 0) return [];
  // A match query is words and nothing else: it has no syntax that a question could contain.
  const rows = await open.table
    .query()
    .fullTextSearch(new MatchQuery(words.join(' '), 'search_text'))
    .where(where)
    .limit(limit)
    .select([...HIT_COLUMNS, '_score'])
    .toArrow({ timeoutMs: QUERY_TIMEOUT_MS });
  return decodeHits(rows, (row) => decodeNumber(rows, '_score', row));
}

/** What the context's user may see, always; the tenant again, though the directory holds no other. */
function visibleSql(context: TenantContext, filter?: VaultFilter): string {
  const visible = toLanceSql({
    op: 'or',
    filters: [
      { op: 'eq', field: 'visibility', value: 'tenant' },
      { op: 'eq', field: 'user_id', value: context.userId },
    ],
  });
  const parts = [`tenant_id = '${context.tenantId.replaceAll("'", "''")}'`, visible];
  if (filter !== undefined) parts.push(toLanceSql(filter));
  return parts.join(' AND ');
}

function refuseForeignChunks(
  context: TenantContext,
  documentId: DocumentId,
  chunks: readonly IndexedChunk[],
): void {
  const ids = new Set<string>();
  for (const { chunk } of chunks) {
    if (chunk.tenant_id !== context.tenantId || chunk.document_id !== documentId) {
      throw new BulkheadError('internal_error', 'A chunk was refused.', {
        cause: new Error('a chunk of another tenant or document was to be indexed'),
      });
    }
    ids.add(chunk.chunk_id);
  }
  // A merge with a key twice keeps both rows.
  if (ids.size !== chunks.length) throw new Error('Two chunks of a document have one id.');
}

async function documentsOf(rows: ArrowRows, tenantId: TenantId): Promise<Map<string, IndexedDocument>> {
  const documents = new Map<string, IndexedDocument>();
  for (let row = 0; row < rows.numRows; row++) {
    if (row % ROWS_A_TURN === ROWS_A_TURN - 1) await turnOfTenant(tenantId);
    const id = decodeText(rows, 'document_id', row);
    const contentHash = decodeText(rows, 'content_hash', row);
    documents.set(id, { contentHash, chunkCount: (documents.get(id)?.chunkCount ?? 0) + 1 });
  }
  return documents;
}

function hashLiteral(hash: string): string {
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new Error('A text hash is not a SHA-256 in hex.');
  return `'${hash}'`;
}
