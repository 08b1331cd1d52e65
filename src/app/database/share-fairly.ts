import { AsyncLocalStorage } from 'node:async_hooks';
import type { Database, DatabaseLane } from '#app/database/database.ts';
import { FairSemaphore, type FairSemaphoreOptions } from '#app/fair/fair-semaphore.ts';

/** Calls that may wait at once, of all tenants together; one alone may have half of them. */
const MAX_WAITING = 10_000;
const never = new AbortController().signal;

/**
 * The database with its transactions admitted fairly by lane: by tenant, and the platform's own work by kind. At most
 * `capacity` are under way, so the pool behind it never queues.
 *
 * A transaction within a transaction is an error: it could wait for a place that only its own end would free.
 */
export function shareFairly(
  database: Database,
  limits: Pick<FairSemaphoreOptions, 'capacity' | 'alpha' | 'maxWaitMs'>,
): Database {
  const places = new FairSemaphore({ ...limits, resource: 'the database', maxWaiting: MAX_WAITING });
  const current = new AsyncLocalStorage<{ isOpen: boolean }>();

  async function admit<Result>(lane: DatabaseLane, work: () => Promise<Result>): Promise<Result> {
    if (current.getStore()?.isOpen === true) {
      throw new Error('A transaction must not begin within another: pass the transaction on instead.');
    }
    const release = await places.acquire(lane, never);
    const transaction = { isOpen: true };
    try {
      return await current.run(transaction, work);
    } finally {
      // What was begun within it and goes on may use the database.
      transaction.isOpen = false;
      release();
    }
  }

  return {
    asUser: (context, work) => admit(context.tenantId, () => database.asUser(context, work)),
    asTenant: (context, work) => admit(context.tenantId, () => database.asTenant(context, work)),
    asSystem: (work, lane = 'platform:other') => admit(lane, () => database.asSystem(work)),
    listen: (channel, listener) => database.listen(channel, listener),
    get places() {
      return places.stats;
    },
    checkReady: (timeoutMs) => database.checkReady(timeoutMs),
    close: () => database.close(),
  };
}
