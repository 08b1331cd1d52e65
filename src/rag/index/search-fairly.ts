import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import type { VaultIndex } from '#rag/index/vault-index.ts';

const MAX_WAITING = 1_024;
/** Longest wait for a place, milliseconds. */
const MAX_WAIT_MS = 10_000;

/**
 * The index with its searches admitted fairly by tenant, `searches` at once. They share the processor and the engine's threads, which
 * know no tenants.
 */
export function searchFairly(index: VaultIndex, searches: number): VaultIndex {
  const places = new FairSemaphore({
    resource: 'searches',
    capacity: searches,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
  });
  return {
    ...index,
    search: (context, search, signal) =>
      places.run(context.tenantId, signal, () => index.search(context, search, signal)),
  };
}
