import { turnOfTenant } from '#app/turn-of-tenant.ts';

/** How long items are worked on before the event loop has its turn, milliseconds. */
const TURN_MS = 5;

/** As `items.map`, with turns for other work of the process, fair by tenant. Throws the signal's reason. */
export async function mapInTurns<Item, Result>(
  items: readonly Item[],
  work: (item: Item, index: number) => Result,
  { tenantId, signal }: Readonly<{ tenantId: string; signal: AbortSignal }>,
): Promise<Result[]> {
  const results: Result[] = [];
  let turnStarted = performance.now();
  for (const [index, item] of items.entries()) {
    results.push(work(item, index));
    if (performance.now() - turnStarted < TURN_MS) continue;
    await turnOfTenant(tenantId);
    signal.throwIfAborted();
    turnStarted = performance.now();
  }
  return results;
}
