import type { RagService } from '#app/services/rag-service.ts';
import type { Logger } from '#observability/logger.ts';
import { assertVisible, toCitations } from '#orchestrator/citations/visible-chunks.ts';
import { runtimeOf, type TurnConfig, type TurnState, type TurnUpdate } from '#orchestrator/turn-state.ts';

/** Finds the passages for the question, and checks once more that the caller may see each of them. */
export const retrieve =
  ({ rag, logger, monotonicNow }: { rag: RagService; logger: Logger; monotonicNow: () => number }) =>
  async ({ request, question }: TurnState, config: TurnConfig): Promise<TurnUpdate> => {
    const { tenant, signal, emit } = runtimeOf(config);
    const { policy, document_ids, collection } = request;
    const { top_k, diversity } = policy.rag;
    const start = monotonicNow();
    const { chunks } = await rag.retrieveForTenant(
      tenant,
      {
        query: question,
        top_k,
        diversity,
        ...(document_ids === undefined ? {} : { document_ids }),
        ...(collection === undefined ? {} : { collection }),
      },
      signal,
    );
    assertVisible(tenant, chunks, logger);
    emit({ type: 'retrieved', citations: toCitations(chunks) });
    return { chunks, timings: { retrieve_ms: monotonicNow() - start } };
  };
