import type { TurnEvent, TurnRequest } from '#app/schemas/turn.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { TurnGraph } from '#orchestrator/graph.ts';

/** A turn on the graph: what its nodes let out, in order. The signal must be the turn's own, see `runTurn`. */
export async function* runGraphTurn(options: {
  graph: TurnGraph;
  tenant: TenantContext;
  request: TurnRequest;
  signal: AbortSignal;
}): AsyncGenerator<TurnEvent, void, undefined> {
  const { graph, tenant, request, signal } = options;
  const events = await graph.stream(
    { request },
    {
      context: { tenant },
      signal,
      streamMode: 'custom',
      durability: 'exit',
      // Its own id, not the caller's: what traces a run must not be something that a client can choose.
      runName: 'turn',
    },
  );
  for await (const event of events) yield event;
}
