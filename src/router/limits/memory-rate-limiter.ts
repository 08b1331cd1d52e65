import type { TenantContext } from '#app/tenant-context.ts';
import { NO_STATES, summarise, TOKEN_ENTRIES_SEEN } from '#router/limits/limit-states.ts';
import type {
  LimitAdmitted,
  LimitDenied,
  LimitName,
  LimitScope,
  LimitState,
  LimitStates,
  RateLimiter,
} from '#router/limits/rate-limiter.ts';
import { SlidingLog } from '#router/limits/sliding-log.ts';
import { TokenLog } from '#router/limits/token-log.ts';

const MINUTE = 60_000;

const WINDOWS = [
  { name: 'requests_per_minute', length: MINUTE },
  { name: 'requests_per_hour', length: 3_600_000 },
] as const satisfies readonly { name: LimitName; length: number }[];

/** When a concurrent request will end is unknown: try again after a second. */
const CONCURRENCY_RETRY_MS = 1_000;
/** Counters looked at for idleness at each decision. */
const SWEEP_STEP = 2;

/** So many requests, not longer ago than that. */
export type AdmittedStep = Readonly<{ agoMs: number; requests: number }>;

/** From and until how long ago, milliseconds: 60 seconds, then 59 minutes. */
const STEPS: readonly (readonly [from: number, until: number])[] = [
  ...Array.from({ length: 60 }, (_, step) => [step * 1_000, (step + 1) * 1_000] as const),
  ...Array.from({ length: 59 }, (_, step) => [(step + 1) * MINUTE, (step + 2) * MINUTE] as const),
];

type Held = { scope: LimitScope; counter: Counter };
type Counter = { log: SlidingLog; tokens: TokenLog; active: number; keptFor: number };

/**
 * Exact limits within one process. Memory is bounded by what was admitted in the longest window, and counters
 * of idle tenants go away by themselves. `monotonicNow` is in milliseconds and never runs backwards.
 */
export function createMemoryRateLimiter(options: { monotonicNow: () => number }): RateLimiter & {
  /** Counters held now, for tests and metrics. */
  readonly size: number;
  /** Counts a request that was admitted elsewhere, whether or not there is room here. */
  count(context: TenantContext, scopes: readonly LimitScope[], tokens: number): LimitAdmitted;
  /** What it admitted in the scope, in steps of a second for the last minute and of a minute before; none of a step is told too old. */
  admittedIn(context: TenantContext, scope: LimitScope): AdmittedStep[];
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
      counter.tokens.dropUntil(now - MINUTE);
      if (counter.log.isEmpty && counter.tokens.isEmpty && counter.active === 0) counters.delete(key);
    }
  }

  const hold = (context: TenantContext, scopes: readonly LimitScope[], now: number) => {
    const held = scopes.map((scope) => ({ scope, counter: counterOf(counters, keyOf(context, scope)) }));
    for (const { scope, counter } of held) prepare(counter, scope, now);
    return held;
  };

  return {
    get size() {
      return counters.size;
    },
    async admit(context, scopes, tokens = 0) {
      const now = options.monotonicNow();
      sweepIdle(now);
      const held = hold(context, scopes, now);
      let denied: LimitDenied | undefined;
      for (const { scope, counter } of held) {
        const denial = denialOf(counter, scope, tokens, now);
        if (denial !== undefined && (denied === undefined || denial.retryAfterMs > denied.retryAfterMs)) {
          denied = denial;
        }
      }
      if (denied !== undefined) {
        return { ...denied, ...statesOf(held, now) };
      }

      return admit(held, tokens, now);
    },
    count(context, scopes, tokens) {
      const now = options.monotonicNow();
      sweepIdle(now);
      return admit(hold(context, scopes, now), tokens, now);
    },
    admittedIn(context, scope) {
      const log = counters.get(keyOf(context, scope))?.log;
      if (log === undefined) return [];
      const now = options.monotonicNow();
      const steps: AdmittedStep[] = [];
      let newer = 0;
      for (const [from, until] of STEPS) {
        const all = log.countAfter(now - until);
        if (all > newer) steps.push({ agoMs: from, requests: all - newer });
        newer = all;
      }
      return steps;
    },
  };
}

/** Counts a request in all of its scopes, whether or not there is room. */
function admit(held: readonly Held[], tokens: number, now: number): LimitAdmitted {
  const reserved = held.map(({ scope, counter }) => {
    // Rounded up, so that entries of one millisecond merge and none leaves its window early.
    counter.log.add(Math.ceil(now));
    counter.active += 1;
    const entry =
      scope.limits.tokens_per_minute === null ? null : counter.tokens.reserve(Math.ceil(now), tokens);
    return { log: counter.tokens, entry };
  });
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    for (const { counter } of held) counter.active -= 1;
  };
  const settle = (used: number) => {
    for (const { log, entry } of reserved) if (entry !== null) log.settle(entry, used);
  };
  return { admitted: true, ...statesOf(held, now), settle, release };
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
    counter = { log: new SlidingLog(), tokens: new TokenLog(), active: 0, keptFor: 0 };
    counters.set(key, counter);
  }
  return counter;
}

/** Keeps no more than the longest window that has a limit now. */
function prepare(counter: Counter, { limits }: LimitScope, now: number): void {
  counter.keptFor = 0;
  for (const { name, length } of WINDOWS) if (limits[name] !== null) counter.keptFor = length;
  counter.log.dropUntil(now - counter.keptFor);
  counter.tokens.dropUntil(now - MINUTE);
}

function denialOf(
  counter: Counter,
  { scope, limits }: LimitScope,
  tokens: number,
  now: number,
): LimitDenied | undefined {
  let denial: LimitDenied | undefined;
  const deny = (name: LimitName, limit: number, current: number, retryAfterMs: number) => {
    if (denial !== undefined && retryAfterMs <= denial.retryAfterMs) return;
    denial = { admitted: false, ...NO_STATES, name, scope, limit, current, retryAfterMs };
  };
  for (const { name, length } of WINDOWS) {
    const limit = limits[name];
    if (limit === null) continue;
    const since = now - length;
    const current = counter.log.countAfter(since);
    if (current < limit) continue;
    // So many of the oldest must leave the window; more than one where the limit was lowered meanwhile.
    const frees = counter.log.timeOfNthAfter(since, current - limit + 1) + length;
    deny(name, limit, current, frees - now);
  }
  const tokenLimit = limits.tokens_per_minute;
  if (tokenLimit !== null && counter.tokens.sum + tokens > tokenLimit) {
    const frees = counter.tokens.timeWhenFreed(counter.tokens.sum + tokens - tokenLimit);
    // More than the limit at once never fits; the caller caps its estimate, so this is a guard.
    deny('tokens_per_minute', tokenLimit, counter.tokens.sum, frees === null ? MINUTE : frees + MINUTE - now);
  }
  const places = limits.concurrent_requests;
  if (places !== null && counter.active >= places) {
    deny('concurrent_requests', places, counter.active, CONCURRENCY_RETRY_MS);
  }
  return denial;
}

/** Where every limit stands that is set, in the order of the scopes. */
function statesOf(held: readonly Held[], now: number): LimitStates {
  const states: LimitState[] = [];
  for (const { scope: whose, counter } of held) {
    const { scope, limits } = whose;
    for (const { name, length } of WINDOWS) {
      const limit = limits[name];
      if (limit === null) continue;
      const since = now - length;
      const remaining = Math.max(0, limit - counter.log.countAfter(since));
      const resetMs = Math.max(0, counter.log.newest + length - now);
      const oldest = counter.log.oldestAfter(since);
      const nextMs = oldest === null ? null : oldest + length - now;
      states.push({ scope, name, limit, remaining, windowMs: length, resetMs, nextMs });
    }
    const tokenLimit = limits.tokens_per_minute;
    if (tokenLimit !== null) {
      const remaining = Math.max(0, tokenLimit - counter.tokens.sum);
      const resetMs = Math.max(0, counter.tokens.newest + MINUTE - now);
      const oldest = counter.tokens.oldestOf(TOKEN_ENTRIES_SEEN);
      const nextMs = oldest === null ? null : oldest + MINUTE - now;
      const name = 'tokens_per_minute';
      states.push({ scope, name, limit: tokenLimit, remaining, windowMs: MINUTE, resetMs, nextMs });
    }
    const places = limits.concurrent_requests;
    if (places !== null) {
      const remaining = Math.max(0, places - counter.active);
      const name = 'concurrent_requests';
      states.push({ scope, name, limit: places, remaining, windowMs: 0, resetMs: 0, nextMs: null });
    }
  }
  return summarise(states);
}
