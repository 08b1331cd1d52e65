import { setTimeout as delay } from 'node:timers/promises';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import type { TenantId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type {
  LimitAdmitted,
  LimitDecision,
  LimitScope,
  LimitStates,
  RateLimiter,
} from '#router/limits/rate-limiter.ts';
import { CircuitOpenError, createCircuitBreaker } from '#router/limits/redis/circuit-breaker.ts';
import { DenialMemory } from '#router/limits/redis/denial-memory.ts';
import { denialFrom, NAMES, shareOf, statesFrom } from '#router/limits/redis/limit-replies.ts';
import type { RedisConnection } from '#router/limits/redis/redis-connection.ts';
import { createSettlements } from '#router/limits/redis/settlements.ts';
import { createToldAgain } from '#router/limits/redis/told-again.ts';

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
  /** What Redis does not know any more of this tenant it is not told again. */
  forget(tenantId: TenantId): void;
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
const HEARTBEAT_TTL_MS = 10_000;
const OUTAGE_RETRY_MS = 1_000;
/** After Redis lost its list of routers, all of them are on it again within so long. */
const RELISTED_MS = 4 * BEAT_MS;
/** The script's answer where Redis lost what it knew of the tenant. */
const LOST = 2;
/** Times that a decision waits for what was lost to be told again. */
const MAX_LOSSES = 3;

type Caller = [context: TenantContext, scopes: readonly LimitScope[], keys: readonly string[]];

/**
 * Exact limits over any number of router processes: every decision is one script on Redis. While Redis is out,
 * a tenant's policy either denies, or falls to each process' share of the limit. A window that overlaps an
 * outage then admits at most twice the limit: once what Redis counted, once the shares together; and nothing more
 * where Redis had said that the window is full. A Redis that lost its data is told again what each router holds and
 * admitted; decisions wait until it has been told.
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
  const told = createToldAgain({ ...options, breaker, leaseMs: LEASE_MS });
  let replicas = UNSEEN_REPLICAS;
  let isListed = false;
  let relistedUntil = 0;
  /** Places that were given without Redis, which it is told of at the next beat that reaches it. */
  let hasUntold = false;

  const heartbeat = () =>
    breaker
      .run(() => redis.heartbeat(options.instanceId, HEARTBEAT_TTL_MS))
      .then(
        ({ alive, isNew }) => {
          const isForgotten = isListed && isNew;
          isListed = true;
          if (isForgotten) relistedUntil = options.monotonicNow() + RELISTED_MS;
          // The others are not on its list yet.
          const isWhole = options.monotonicNow() >= relistedUntil;
          replicas = Math.max(1, alive, isWhole ? 1 : replicas);
          if (isForgotten) void told.tellAll();
          else if (hasUntold) told.renewAll();
          hasUntold = false;
          void settlements.catchUp();
        },
        () => undefined,
      );
  const timers = [
    // It asks, too, whether Redis is back, so that no request has to wait for the answer, and whether it knows us still.
    setInterval(() => void heartbeat(), BEAT_MS),
    setInterval(() => told.renewAll(), RENEW_EVERY_MS),
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
    const decision = await local.admit(
      context,
      scopes.map((scope) => shareOf(scope, replicas)),
      tokens,
    );
    const places = placesOf(scopes, keys);
    if (!decision.admitted || places.length === 0) return decision;
    // Redis is told of its place when it is back.
    const id = context.requestId;
    told.hold(id, places);
    hasUntold = true;
    const tell = settlements.of(id, keys);
    return {
      ...decision,
      release() {
        decision.release();
        told.release(id);
        tell.released();
      },
    };
  }

  /** Redis lost what it knew of the tenant: tells it what is known here, once, and waits while other routers may. */
  async function afterLoss(reply: readonly number[], ...[context, scopes, keys]: Caller): Promise<void> {
    const [, waitMs = 0, generation = 0] = reply;
    if (told.expected(keys) !== String(generation)) {
      await told.tell(context, scopes, keys);
      told.saw(context, scopes, keys, generation);
    }
    if (waitMs > 0) await delay(waitMs);
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
    const places = placesOf(scopes, keys);
    const hasTokens = scopes.some(({ limits }) => limits.tokens_per_minute !== null);
    told.hold(id, places);
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
        told.release(id);
        if (places.length > 0) tell.released();
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
    forget: told.forget,
    admit: (context, scopes, tokens = 0) => admit(context, scopes, tokens, MAX_LOSSES),
    async close() {
      for (const timer of timers) clearInterval(timer);
      await redis.close();
    },
  };

  async function admit(
    context: TenantContext,
    scopes: readonly LimitScope[],
    tokens: number,
    losses: number,
  ): Promise<LimitDecision> {
    const limited = scopes.filter(({ limits }) => NAMES.some((name) => limits[name] !== null));
    if (limited.length === 0) return local.admit(context, scopes, tokens);
    const keys = limited.map((scope) => keyOf(context, scope));
    const known = denials.find(limited, keys, false);
    if (known !== undefined) return known;
    if (breaker.isOpen) return decideLocally(context, limited, keys, tokens);
    const scriptKeys = [...keys, generationKeyOf(context)];
    const release = await places.acquire(context.tenantId, never);
    let askedAt: number;
    let reply: number[];
    try {
      // Those before may have been told that the window is full.
      const learnt = denials.find(limited, keys, false);
      if (learnt !== undefined) return learnt;
      askedAt = options.monotonicNow();
      const args = [
        context.requestId,
        String(Math.ceil(tokens)),
        String(LEASE_MS),
        told.expected(keys),
        ...limited.flatMap(({ limits }) => NAMES.map((name) => String(limits[name] ?? -1))),
      ];
      reply = await breaker.run(() => redis.admit(scriptKeys, args));
    } catch (error) {
      const decide = error instanceof CircuitOpenError ? decideLocally : decideUnanswered;
      return decide(context, limited, keys, tokens);
    } finally {
      release();
    }
    if (reply[0] === LOST) {
      if (losses === 0) return decideLocally(context, limited, keys, tokens);
      // Without the place that others wait for.
      await afterLoss(reply, context, limited, keys).catch(() => undefined);
      return admit(context, scopes, tokens, losses - 1);
    }
    told.saw(context, limited, keys, reply.at(-1) ?? 0);
    const states = statesFrom(reply, limited);
    if (reply[0] === 1) return admitted(context, limited, keys, tokens, states);
    const denied = { ...denialFrom(reply, limited), ...states };
    denials.remember(limited, keys, denied, askedAt);
    return denied;
  }
}

/** The keys of scopes that limit concurrent requests. */
const placesOf = (scopes: readonly LimitScope[], keys: readonly string[]): string[] =>
  keys.filter((_, index) => scopes[index]?.limits.concurrent_requests !== null);

const generationKeyOf = ({ tenantId }: TenantContext): string => `bulkhead:{${tenantId}}:limits:generation`;

/** The hash tag keeps all of a tenant's limits on one node; ids cannot hold a brace or begin another key. */
function keyOf(context: TenantContext, { scope }: LimitScope): string {
  const prefix = `bulkhead:{${context.tenantId}}:limits:${scope}`;
  if (scope === 'tenant') return prefix;
  return `${prefix}:${scope === 'user' ? context.userId : context.keyId}`;
}
