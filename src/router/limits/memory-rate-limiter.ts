import type { TenantContext } from '#app/tenant-context.ts';
import type {
  LimitDenied,
  LimitName,
  LimitScope,
  LimitState,
  RateLimiter,
} from '#router/limits/rate-limiter.ts';
import { SlidingLog } from '#router/limits/sliding-log.ts';

const WINDOWS = [
  { name: 'requests_per_minute', length: 60_000 },
  { name: 'requests_per_hour', length: 3_600_000 },
] as const satisfies readonly { name: LimitName; length: number }[];

/** When a concurrent request will end is unknown: try again after a second. */
const CONCURRENCY_RETRY_MS = 1_000;
/** Counters looked at for idleness at each decision. */
const SWEEP_STEP = 2;

type Counter = { log: SlidingLog; active: number; keptFor: number };

/**
 * Exact limits within one process. Memory is bounded by what was admitted in the longest window, and counters
 * of idle tenants go away by themselves. `monotonicNow` is in milliseconds and never runs backwards.
 */
export function createMemoryRateLimiter(options: { monotonicNow: () => number }): RateLimiter & {
  /** Counters held now, for tests and metrics. */
  readonly size: number;
} {
  const counters = new Map<string, Counter>();
  let sweep = counters.entries();

  function sweepIdle(now: number): void {
    for (let step = 0; step < SWEEP_STEP; step++) {
      const next = sweep.next();
      if (next.done) {
        sweep = counters.entries();
        return;
      }
      const [key, counter] = next.value;
      counter.log.dropUntil(now - counter.keptFor);
      if (counter.log.isEmpty && counter.active === 0) counters.delete(key);
    }
  }

  return {
    get size() {
      return counters.size;
    },
    async admit(context, scopes) {
      const now = options.monotonicNow();
      sweepIdle(now);
      const held = scopes.map((scope) => ({ scope, counter: counterOf(counters, keyOf(context, scope)) }));
      for (const { scope, counter } of held) prepare(counter, scope, now);

      let denied: LimitDenied | undefined;
      for (const { scope, counter } of held) {
        const denial = denialOf(counter, scope, now);
        if (denial !== undefined && (denied === undefined || denial.retryAfterMs > denied.retryAfterMs)) {
          denied = denial;
        }
      }
      if (denied !== undefined) return { ...denied, state: tightest(held, now) };

      for (const { counter } of held) {
        // Rounded up, so that entries of one millisecond merge and none leaves its window early.
        counter.log.add(Math.ceil(now));
        counter.active += 1;
      }
      let released = false;
      const release = () => {
        if (released) return;
        released = true;
        for (const { counter } of held) counter.active -= 1;
      };
      return { admitted: true, state: tightest(held, now), release };
    },
  };
}

/** Neither a tenant nor a user id can hold a slash, so keys of different scopes never meet. */
function keyOf(context: TenantContext, { scope }: LimitScope): string {
  if (scope === 'tenant') return context.tenantId;
  return scope === 'user'
    ? `${context.tenantId}/user/${context.userId}`
    : `${context.tenantId}/key/${context.keyId}`;
}

function counterOf(counters: Map<string, Counter>, key: string): Counter {
  let counter = counters.get(key);
  if (counter === undefined) {
    counter = { log: new SlidingLog(), active: 0, keptFor: 0 };
    counters.set(key, counter);
  }
  return counter;
}

/** Keeps no more than the longest window that has a limit now. */
function prepare(counter: Counter, { limits }: LimitScope, now: number): void {
  counter.keptFor = 0;
  for (const { name, length } of WINDOWS) if (limits[name] !== null) counter.keptFor = length;
  counter.log.dropUntil(now - counter.keptFor);
}

function denialOf(counter: Counter, { scope, limits }: LimitScope, now: number): LimitDenied | undefined {
  let denial: LimitDenied | undefined;
  for (const { name, length } of WINDOWS) {
    const limit = limits[name];
    if (limit === null) continue;
    const since = now - length;
    const current = counter.log.countAfter(since);
    if (current < limit) continue;
    // So many of the oldest must leave the window; more than one where the limit was lowered meanwhile.
    const frees = counter.log.timeOfNthAfter(since, current - limit + 1) + length;
    const retryAfterMs = frees - now;
    if (denial === undefined || retryAfterMs > denial.retryAfterMs) {
      denial = { admitted: false, state: null, name, scope, limit, current, retryAfterMs };
    }
  }
  const places = limits.concurrent_requests;
  if (denial === undefined && places !== null && counter.active >= places) {
    const current = counter.active;
    const retryAfterMs = CONCURRENCY_RETRY_MS;
    denial = {
      admitted: false,
      state: null,
      name: 'concurrent_requests',
      scope,
      limit: places,
      current,
      retryAfterMs,
    };
  }
  return denial;
}

/** The window with the fewest requests left; of equals, the one that is full again last. */
function tightest(held: readonly { scope: LimitScope; counter: Counter }[], now: number): LimitState | null {
  let state: LimitState | null = null;
  for (const { scope, counter } of held) {
    for (const { name, length } of WINDOWS) {
      const limit = scope.limits[name];
      if (limit === null) continue;
      const remaining = Math.max(0, limit - counter.log.countAfter(now - length));
      const resetMs = Math.max(0, counter.log.newest + length - now);
      const tighter =
        state === null ||
        remaining < state.remaining ||
        (remaining === state.remaining && resetMs > state.resetMs);
      if (tighter) state = { limit, remaining, resetMs };
    }
  }
  return state;
}
