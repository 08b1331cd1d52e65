import type { TurnBatch, TurnEvent, TurnRequest } from '#app/schemas/turn.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { untilAborted } from '#app/until-aborted.ts';
import type { TurnGraph } from '#orchestrator/graph.ts';

/** What may wait for a slow reader before the engine is held up, characters of text. */
const MAX_WAITING_CHARACTERS = 65_536;

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
  let waiting = 0;
  let taken = Promise.withResolvers<void>();
  const emit = (event: TurnEvent) => {
    events.push(event);
    if (event.type === 'delta') waiting += event.text.length;
    news.resolve();
  };
  const room = async () => {
    if (waiting <= MAX_WAITING_CHARACTERS) return;
    taken = Promise.withResolvers();
    // A turn that is aborted has no reader any more.
    await untilAborted(taken.promise, signal);
  };
  const run = graph
    .invoke(
      { request },
      {
        context: { tenant, emit, room },
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
    if (events.length > 0) {
      waiting = 0;
      yield events.splice(0);
      taken.resolve();
    }
    if (isOver || events.length > 0) continue;
    news = Promise.withResolvers();
    await news.promise;
  }
  await run;
}
