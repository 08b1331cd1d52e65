import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { RetrieveRequest, RetrieveResult } from '#app/schemas/vault-document.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { inSpan, type Span } from '#app/trace.ts';
import { untilAborted } from '#app/until-aborted.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { existingDocuments } from '#rag/documents/document-rows.ts';
import type { VaultFilter } from '#rag/index/vault-filter.ts';
import type { VaultHit, VaultIndex } from '#rag/index/vault-index.ts';
import type { IsolationAlarm } from '#rag/isolation-alarm.ts';
import { selectDiverse } from '#rag/rank/select-diverse.ts';

export type TenantRetrieverOptions = Readonly<{
  index: VaultIndex;
  embedder: Embedder;
  database: Database;
  alarm: IsolationAlarm;
  /** Milliseconds, any origin. */
  now?(): number;
}>;

export interface TenantRetriever {
  /**
   * The passages that answer a query best, of what the context's user may see: exactly
   * min(`top_k`, passages there are). Throws `internal_error`, with nothing returned, when a layer below let a
   * foreign row through.
   */
  retrieveForTenant(
    context: TenantContext,
    request: RetrieveRequest,
    signal: AbortSignal,
  ): Promise<RetrieveResult>;
}

/** Candidates for each passage returned: room for near duplicates, and for chunks that were just deleted. */
const POOL_FACTOR = 4;
const MIN_POOL = 40;

export function createTenantRetriever(options: TenantRetrieverOptions): TenantRetriever {
  const { index, embedder, database, alarm, now = () => performance.now() } = options;

  /** Hits whose document the database still shows to this user: one deleted a moment ago never comes back. */
  async function searchExisting(
    context: TenantContext,
    request: RetrieveRequest,
    vector: Float32Array,
    signal: AbortSignal,
  ): Promise<{ hits: VaultHit[]; filenames: ReadonlyMap<string, string> }> {
    const limit = Math.max(MIN_POOL, POOL_FACTOR * request.top_k);
    const query = { mode: 'hybrid', vector, text: request.query } as const;
    const gone: string[] = [];
    for (;;) {
      const filter = filterOf(context, request, gone);
      const search = { query, limit, ...(filter === undefined ? {} : { filter }) };
      const hits = await index.search(context, search, signal);
      discardForeign(context, hits);
      const ids = [...new Set(hits.map((hit) => hit.chunk.document_id))];
      if (ids.length === 0) return { hits: [], filenames: new Map() };
      const existing = await untilAborted(
        database.asUser(context, (transaction) => existingDocuments(transaction, ids)),
        signal,
      );
      const missing = ids.filter((id) => !existing.has(id));
      const left = hits.filter((hit) => existing.has(hit.chunk.document_id));
      // Enough without them, or nothing further behind them: otherwise what they crowded out is searched for.
      if (missing.length === 0 || left.length >= request.top_k || hits.length < limit) {
        return { hits: left, filenames: existing };
      }
      gone.push(...missing);
    }
  }

  /** The last look before anything leaves. One foreign row means that nothing here can be trusted. */
  function discardForeign(context: TenantContext, hits: readonly VaultHit[]): void {
    const foreign = hits.filter(
      ({ chunk }) =>
        chunk.tenant_id !== context.tenantId ||
        (chunk.user_id !== context.userId && chunk.visibility !== 'tenant') ||
        context.collections?.includes(chunk.collection) === false,
    );
    if (foreign.length === 0) return;
    alarm.raise(context, { layer: 'index', foreign_ids: foreign.map((hit) => hit.chunk.chunk_id) });
    throw new BulkheadError('internal_error', 'The search was stopped. It was logged under the request id.');
  }

  return {
    async retrieveForTenant(context, request, signal) {
      signal.throwIfAborted();
      const { trace } = context;
      return inSpan(trace, 'retrieval', (span) => retrieve(context, request, signal, span), {
        attributes: { 'gen_ai.operation.name': 'retrieval', 'bulkhead.retrieval.top_k': request.top_k },
      });
    },
  };

  async function retrieve(
    context: TenantContext,
    request: RetrieveRequest,
    signal: AbortSignal,
    span: Span,
  ): Promise<RetrieveResult> {
    const { trace } = context;
    const startedAt = now();
    const vector = await inSpan(
      trace,
      'embed query',
      () => untilAborted(embedder.embedQuery(request.query, signal, { tenantId: context.tenantId }), signal),
      { parent: span },
    );
    const embeddedAt = now();
    const { hits, filenames } = await inSpan(
      trace,
      'search',
      () => searchExisting(context, request, vector, signal),
      { parent: span },
    );
    const picked = selectDiverse(hits, request.top_k, request.diversity);
    span.set({ 'bulkhead.retrieval.passages': picked.length });
    return {
      chunks: picked.map(({ chunk, score }) => ({
        ...chunk,
        filename: filenames.get(chunk.document_id) ?? chunk.title,
        score,
      })),
      timings: { embed_ms: embeddedAt - startedAt, search_ms: now() - embeddedAt },
    };
  }
}

function filterOf(
  { collections }: TenantContext,
  request: RetrieveRequest,
  gone: readonly string[],
): VaultFilter | undefined {
  const filters: VaultFilter[] = [];
  if (collections !== null) filters.push({ op: 'in', field: 'collection', values: collections });
  if (request.document_ids !== undefined) {
    filters.push({ op: 'in', field: 'document_id', values: request.document_ids });
  }
  // Beside the credential's own collections, never in their place.
  if (request.collection !== undefined) {
    filters.push({ op: 'eq', field: 'collection', value: request.collection });
  }
  if (gone.length > 0) {
    filters.push({ op: 'not', filter: { op: 'in', field: 'document_id', values: gone } });
  }
  return filters.length === 0 ? undefined : { op: 'and', filters };
}
