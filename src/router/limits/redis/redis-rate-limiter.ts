import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { NO_STATES, summarise } from '#router/limits/limit-states.ts';
import type { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type {
  LimitAdmitted,
  LimitDecision,
  LimitDenied,
  LimitName,
  LimitScope,
  LimitState,
  LimitStates,
  RateLimiter,
} from '#router/limits/rate-limiter.ts';
import { CircuitOpenError, createCircuitBreaker } from '#router/limits/redis/circuit-breaker.ts';
import { DenialMemory } from '#router/limits/redis/denial-memory.ts';
import type { RedisConnection } from '#router/limits/redis/redis-connection.ts';
import { createSettlements } from '#router/limits/redis/settlements.ts';

export type RedisRateLimiterOptions = {
  redis: RedisConnection;
  /** Decides while Redis does not answer, and is told of what Redis admits so that it knows where it stands. */
  local: ReturnType<typeof createMemoryRateLimiter>;
  instanceId: string;
  /** Milliseconds; monotonic. */
  monotonicNow: () => number;
  onOutage: (isOut: boolean, cause: unknown) => void;
  /** Default {@link REDIS_SILENCE_MS}. */
  silenceMs?: number;
};

export type RedisRateLimiter = RateLimiter & {
  /** Whether Redis is unreachable and limits are decided locally. Readiness and a metric tell. */
  readonly isDegraded: boolean;
  /** Waits a moment for Redis, so that the first requests are not decided without it. Never throws. */
  start(): Promise<void>;
  close(): Promise<void>;
};

/** A decision waits this long for a Redis that says nothing, milliseconds; then the circuit opens. With timers and all it is under 50. */
export const REDIS_SILENCE_MS = 45;
/** A decision waits no longer than this for a Redis that is busy with others, milliseconds. */
export const REDIS_TIMEOUT_MS = 1_000;
export const REDIS_COOLDOWN_MS = 1_000;
/** A place among concurrent requests is held this long without renewal: what a crashed router held frees up then. */
export const LEASE_MS = 30_000;

/** Decisions that are asked of Redis at once. Ten routers' together keep it busy for a small part of the silence. */
const MAX_ASKING = 32;
/** Decisions that may wait, and how long, milliseconds. */
const MAX_WAITING = 20_000;
const MAX_WAIT_MS = 5_000;
const never = new AbortController().signal;
/** Longest that a start waits for Redis, milliseconds. */
const START_MS = 3_000;
/** Until Redis has said how many routers there are, a router takes itself for one of so many. */
const UNSEEN_REPLICAS = 10;
const RENEW_EVERY_MS = LEASE_MS / 3;
const BEAT_MS = 500;
const BEATS_A_HEARTBEAT = 4;
const HEARTBEAT_TTL_MS = 10_000;
const OUTAGE_RETRY_MS = 1_000;

/** Where in the script's answer the states begin. */
const STATES_AT = 6;
const WINDOW_MS: Readonly<Record<LimitName, number>> = {
  requests_per_minute: 60_000,
  requests_per_hour: 3_600_000,
  tokens_per_minute: 60_000,
  concurrent_requests: 0,
};
const NAMES: readonly LimitName[] = [
  'requests_per_minute',
  'requests_per_hour',
  'tokens_per_minute',
  'concurrent_requests',
];

/**
 * Exact limits over any number of router processes: every decision is one script on Redis. While Redis is out,
 * a tenant's policy either denies, or falls to each process' share of the limit. A window that overlaps an
 * outage then admits at most twice the limit: once what Redis counted, once the shares together; and nothing more
 * where Redis had said that the window is full.
 */
export function createRedisRateLimiter(options: RedisRateLimiterOptions): RedisRateLimiter {
  const { redis, local, silenceMs = REDIS_SILENCE_MS } = options;
  const breaker = createCircuitBreaker({
    silenceMs,
    timeoutMs: Math.max(REDIS_TIMEOUT_MS, silenceMs),
    cooldownMs: REDIS_COOLDOWN_MS,
    monotonicNow: options.monotonicNow,
    onChange: options.onOutage,
  });
  const settlements = createSettlements({ redis, breaker, monotonicNow: options.monotonicNow });
  const denials = new DenialMemory(options.monotonicNow);
  const places = new FairSemaphore({
    resource: 'decisions about limits',
    capacity: MAX_ASKING,
    alpha: Number.POSITIVE_INFINITY,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
  });
  const leases = new Map<string, readonly string[]>();
  let replicas = UNSEEN_REPLICAS;

  let beat = 0;

  const heartbeat = () =>
    breaker
      .run(() => redis.heartbeat(options.instanceId, HEARTBEAT_TTL_MS))
      .then(
        (alive) => {
          replicas = Math.max(1, alive);
          void settlements.catchUp();
        },
        () => undefined,
      );
  const timers = [
    // In an outage it asks whether Redis is back, so that no request has to wait for the answer.
    setInterval(() => {
      beat += 1;
      if (breaker.isOpen || beat % BEATS_A_HEARTBEAT === 0) void heartbeat();
    }, BEAT_MS),
    setInterval(() => {
      for (const [id, keys] of leases) {
        breaker.run(() => redis.renew(keys, [id, String(LEASE_MS)])).catch(() => undefined);
      }
    }, RENEW_EVERY_MS),
  ];
  for (const timer of timers) timer.unref();

  async function decideLocally(
    context: TenantContext,
    scopes: readonly LimitScope[],
    keys: readonly string[],
    tokens: number,
  ): Promise<LimitDecision> {
    const denied = denials.find(scopes, keys, true);
    if (denied !== undefined) return denied;
    if (scopes.some(({ onOutage }) => onOutage === 'deny')) {
      throw new BulkheadError(
        'service_unavailable',
        'Limits cannot be checked now, and the policy is to deny then.',
        {
          retryAfterMs: OUTAGE_RETRY_MS,
          refusal: { policy: 'rate_limits.on_outage' },
        },
      );
    }
    return local.admit(
      context,
      scopes.map((scope) => shareOf(scope, replicas)),
      tokens,
    );
  }

  function admitted(
    context: TenantContext,
    scopes: readonly LimitScope[],
    keys: readonly string[],
    tokens: number,
    states: LimitStates,
  ): LimitAdmitted {
    const id = context.requestId;
    const mirrored = local.count(context, scopes, tokens);
    const hasLease = scopes.some(({ limits }) => limits.concurrent_requests !== null);
    const hasTokens = scopes.some(({ limits }) => limits.tokens_per_minute !== null);
    if (hasLease) leases.set(id, keys);
    const tell = settlements.of(id, keys);
    return {
      admitted: true,
      ...states,
      settle(actual) {
        mirrored.settle(actual);
        if (hasTokens) tell.used(actual);
      },
      release() {
        mirrored.release();
        leases.delete(id);
        if (hasLease) tell.released();
      },
    };
  }

  /**
   * Redis was asked and did not answer in time. It may have counted the request all the same, so it is told what became
   * of it as well; of a request that it never saw, it takes no notice.
   */
  async function decideUnanswered(...asked: Parameters<typeof decideLocally>): Promise<LimitDecision> {
    const [context, , keys] = asked;
    const tell = settlements.of(context.requestId, keys);
    const forget = () => {
      tell.used(0);
      tell.released();
    };
    let decision: LimitDecision;
    try {
      decision = await decideLocally(...asked);
    } catch (error) {
      forget();
      throw error;
    }
    if (!decision.admitted) {
      forget();
      return decision;
    }
    const { settle, release } = decision;
    return {
      ...decision,
      settle(tokens) {
        settle(tokens);
        tell.used(tokens);
      },
      release() {
        release();
        tell.released();
      },
    };
  }

  return {
    get isDegraded() {
      return breaker.isOpen;
    },
    async start() {
      await redis.connected(START_MS);
      await heartbeat();
    },
    async admit(context, scopes, tokens = 0) {
      const limited = scopes.filter(({ limits }) => NAMES.some((name) => limits[name] !== null));
      if (limited.length === 0) return local.admit(context, scopes, tokens);
      const keys = limited.map((scope) => keyOf(context, scope));
      const known = denials.find(limited, keys, false);
      if (known !== undefined) return known;
      if (breaker.isOpen) return decideLocally(context, limited, keys, tokens);
      const args = [
        context.requestId,
        String(Math.ceil(tokens)),
        String(LEASE_MS),
        ...limited.flatMap(({ limits }) => NAMES.map((name) => String(limits[name] ?? -1))),
      ];
      const release = await places.acquire(context.tenantId, never);
      let askedAt: number;
      let reply: number[];
      try {
        // Those before may have been told that the window is full.
        const learnt = denials.find(limited, keys, false);
        if (learnt !== undefined) return learnt;
        askedAt = options.monotonicNow();
        reply = await breaker.run(() => redis.admit(keys, args));
      } catch (error) {
        const decide = error instanceof CircuitOpenError ? decideLocally : decideUnanswered;
        return decide(context, limited, keys, tokens);
      } finally {
        release();
      }
      const states = statesFrom(reply, limited);
      if (reply[0] === 1) return admitted(context, limited, keys, tokens, states);
      const denied = { ...denialFrom(reply, limited), ...states };
      denials.remember(limited, keys, denied, askedAt);
      return denied;
    },
    async close() {
      for (const timer of timers) clearInterval(timer);
      await redis.close();
    },
  };
}

/** The hash tag keeps all of a tenant's limits on one node; ids cannot hold a brace or begin another key. */
function keyOf(context: TenantContext, { scope }: LimitScope): string {
  const prefix = `bulkhead:{${context.tenantId}}:limits:${scope}`;
  if (scope === 'tenant') return prefix;
  return `${prefix}:${scope === 'user' ? context.userId : context.keyId}`;
}

/** Rounded down, so that the shares together stay within the limit. */
function shareOf(scope: LimitScope, replicas: number): LimitScope {
  const share = (limit: number | null) => (limit === null ? null : Math.floor(limit / replicas));
  const { limits } = scope;
  return {
    ...scope,
    limits: {
      requests_per_minute: share(limits.requests_per_minute),
      requests_per_hour: share(limits.requests_per_hour),
      tokens_per_minute: share(limits.tokens_per_minute),
      concurrent_requests: share(limits.concurrent_requests),
    },
  };
}

function statesFrom(reply: readonly number[], scopes: readonly LimitScope[]): LimitStates {
  const states: LimitState[] = [];
  let at = STATES_AT;
  for (const { scope, limits } of scopes) {
    for (const name of NAMES) {
      const limit = limits[name];
      if (limit === null) continue;
      const [remaining = 0, resetMs = 0, next = -1] = [reply[at], reply[at + 1], reply[at + 2]];
      const nextMs = next < 0 ? null : next;
      states.push({ scope, name, limit, remaining, windowMs: WINDOW_MS[name], resetMs, nextMs });
      at += 3;
    }
  }
  return summarise(states);
}

function denialFrom(reply: readonly number[], scopes: readonly LimitScope[]): LimitDenied {
  const [, scope = 0, name = 0, limit = 0, current = 0, retryAfterMs = 0] = reply;
  const deniedBy = scopes[scope - 1]?.scope;
  const limitName = NAMES[name - 1];
  if (deniedBy === undefined || limitName === undefined)
    throw new Error('The limit script gave an unknown answer.');
  return { admitted: false, ...NO_STATES, name: limitName, scope: deniedBy, limit, current, retryAfterMs };
}
