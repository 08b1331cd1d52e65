import type { TurnBatch, TurnEvent, TurnRequest } from '#app/schemas/turn.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { TurnGraph } from '#orchestrator/graph.ts';

/**
 * A turn on the graph: what its nodes let out, in order, and all of it before a failure is thrown: the ledger counts
 * from these events. The graph's own custom stream would drop what was let out and not yet read when a node fails.
 * The signal must be the turn's own, see `runTurn`.
 */
export async function* runGraphTurn(options: {
  graph: TurnGraph;
  tenant: TenantContext;
  request: TurnRequest;
  signal: AbortSignal;
}): AsyncGenerator<TurnBatch, void, undefined> {
  const { graph, tenant, request, signal } = options;
  const events: TurnEvent[] = [];
  let news = Promise.withResolvers<void>();
  let isOver = false;
  const emit = (event: TurnEvent) => {
    events.push(event);
    news.resolve();
  };
  const run = graph
    .invoke(
      { request },
      {
        context: { tenant, emit },
        signal,
        durability: 'exit',
        // Its own id, not the caller's: what traces a run must not be something that a client can choose.
        runName: 'turn',
      },
    )
    .finally(() => {
      isOver = true;
      news.resolve();
    });
  // It is awaited when its events are read; a reader that leaves before that waits for nothing.
  run.catch(() => {});
  while (!isOver || events.length > 0) {
    if (events.length > 0) yield events.splice(0);
    if (isOver || events.length > 0) continue;
    news = Promise.withResolvers();
    await news.promise;
  }
  await run;
}
