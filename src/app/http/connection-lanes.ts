import { type Dispatcher, Pool } from 'undici';
import { FairSemaphore, type FairSemaphoreStats } from '#app/fair/fair-semaphore.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { TenantContext } from '#app/tenant-context.ts';

/**
 * `long`: calls that last as long as a client reads or sends, such as turns, uploads and downloads. `short`: all other calls
 * for a tenant. `probe`: readiness checks, which belong to no tenant and must not wait behind calls that do.
 */
export type Lane = 'long' | 'short' | 'probe';

export type ConnectionLanesOptions = Readonly<{
  /** Scheme, host and port of the service. */
  origin: string;
  /** The service's name in error messages. */
  service: string;
  /** Calls at once in each lane, of all tenants together. */
  longCalls: number;
  shortCalls: number;
  /** Options of each lane's pool. */
  pool: Pick<Pool.Options, 'connect' | 'headersTimeout' | 'bodyTimeout'>;
}>;

export type LaneRequest = Readonly<{ lane: Exclude<Lane, 'probe'>; context: TenantContext }> | null;

/** A probe is repeated every half second at most and lasts two: more than this are under way only when the service hangs. */
const PROBE_CONNECTIONS = 4;
const MIN_WAITING = 1_024;
/** Longest wait for a place, milliseconds: shorter than a client's patience, longer than a burst. */
const MAX_WAIT_MS = 10_000;

/**
 * Connections to a sibling service, in lanes with pools of their own. HTTP/1.1, one call a connection: a reader that stalls holds
 * up no other call, as it would by the shared flow-control window of an HTTP/2 connection. A call first gets a place of its
 * lane, fairly by tenant, so the pool itself never queues.
 */
export function createConnectionLanes(options: ConnectionLanesOptions) {
  const { origin, service, longCalls, shortCalls } = options;
  const open = (connections: number) => withErrorListener(new Pool(origin, { ...options.pool, connections }));
  const laneOf = (capacity: number, what: string) => ({
    pool: open(capacity),
    places: new FairSemaphore({
      resource: `${what} to the ${service}`,
      capacity,
      maxWaiting: Math.max(capacity, MIN_WAITING),
      maxWaitMs: MAX_WAIT_MS,
    }),
  });
  const lanes = { long: laneOf(longCalls, 'streaming calls'), short: laneOf(shortCalls, 'calls') };
  const probes = open(PROBE_CONNECTIONS);

  return {
    /**
     * Sends a request; `makeRequest` is called when its place is there, so that what must be fresh (a token) is made then. The
     * answer's body must be read to its end or destroyed: it keeps the place until it closes. null: a probe.
     */
    async request(
      who: LaneRequest,
      signal: AbortSignal,
      makeRequest: () => Promise<Dispatcher.RequestOptions>,
    ): Promise<Dispatcher.ResponseData> {
      if (who === null) return probes.request(await makeRequest());
      const { pool, places } = lanes[who.lane];
      const release = await places.acquire(who.context.tenantId, signal);
      try {
        const response = await pool.request(await makeRequest());
        // An abort may have closed it before this line runs.
        if (response.body.closed) release();
        else response.body.once('close', release);
        return response;
      } catch (error) {
        release();
        throw error;
      }
    },
    get stats(): Readonly<Record<Exclude<Lane, 'probe'>, FairSemaphoreStats>> {
      return { long: lanes.long.places.stats, short: lanes.short.places.stats };
    },
    async close(): Promise<void> {
      await Promise.all([lanes.long.pool.close(), lanes.short.pool.close(), probes.close()]);
    },
  };
}
