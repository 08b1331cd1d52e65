import { setTimeout as delay } from 'node:timers/promises';
import { RecentMap } from '#app/recent-map.ts';
import { TenantPlaces } from '#router/judges/tenant-places.ts';
import { WaitingLine } from '#router/limits/redis/waiting-line.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import { ContentTimeout, createContentLane } from '#router/policy/content-lane.ts';
import type { ContentDecision, RequestText } from '#router/policy/decide-content.ts';

/** Puts long texts to patterns in threads of their own: RE2 takes time in proportion to both, and takes it in one piece. */
export interface ContentThread {
  /** As `decideContent`. Throws where it takes too long, or the signal's reason: then nothing is known of the text. */
  decide(policy: CompiledPolicy, text: RequestText, signal: AbortSignal): Promise<ContentDecision>;
  /** Threads that are alive, those that are ending included. Never more than two. */
  readonly threads: number;
  close(): Promise<void>;
}

/** Characters times the policy's weight: tens of milliseconds for the slowest patterns, one for usual ones. */
const MAX_HERE = 4_000_000;
/** What normalising a text and taking it apart into words weighs beside the patterns and phrases. */
const READING_WEIGHT = 30;
const MAX_JOB_MS = 5_000;
/** For so long after a text that took too long, a tenant's texts go to the second lane. */
const SLOW_MS = 60_000;
/** The second lane rests for so many times what a text took that was given up: it has a quarter of a core at most. */
const REST_FACTOR = 3;
const MAX_SLOW_TENANTS = 10_000;

/** Two ligatures that NFKC takes apart into 18 and 8 characters; of all others it makes 6 at most. */
const EXPANDS = /[\ufdfa\ufdfb]/;
const MAX_EXPANSION = 18;

/** Whether the text would keep other requests waiting. */
export function isForThread({ weight }: CompiledPolicy, { text }: RequestText): boolean {
  const length = EXPANDS.test(text) ? text.length * MAX_EXPANSION : text.length;
  return (weight + READING_WEIGHT) * length > MAX_HERE;
}

/**
 * Two lanes of one thread each: the second is for tenants of whom a text took too long, so that the others do not wait behind
 * their next one. One job of a lane at a time, and of each tenant one that waits: tenants take turns.
 */
export function createContentThread(options: { maxJobMs?: number } = {}): ContentThread {
  const { maxJobMs = MAX_JOB_MS } = options;
  const places = new TenantPlaces(1);
  const newLane = () => ({ line: new WaitingLine(1), thread: createContentLane({ maxJobMs }) });
  const usual = newLane();
  const second = newLane();
  /** Until when a tenant's texts go to the second lane. */
  const slowUntil = new RecentMap<string, number>(MAX_SLOW_TENANTS);
  /** No job of the second lane begins before. */
  let restUntil = 0;
  const closing = new AbortController();

  async function rest(signal: AbortSignal): Promise<void> {
    const restMs = restUntil - performance.now();
    if (restMs > 0) await delay(restMs, undefined, { signal: AbortSignal.any([signal, closing.signal]) });
  }

  return {
    get threads() {
      return usual.thread.threads + second.thread.threads;
    },
    async decide({ config, version }, text, signal) {
      const tenantId = config.tenant_id;
      const leave = await places.enter(tenantId, signal);
      try {
        const lane = (slowUntil.get(tenantId) ?? 0) > performance.now() ? second : usual;
        const wait = lane.line.enter();
        if (wait !== null) await wait;
        try {
          signal.throwIfAborted();
          if (lane === second) await rest(signal);
          return await lane.thread.run({ config, version, text });
        } catch (error) {
          if (error instanceof ContentTimeout) {
            slowUntil.set(tenantId, performance.now() + SLOW_MS);
            if (lane === second) restUntil = performance.now() + REST_FACTOR * maxJobMs;
          }
          throw error;
        } finally {
          lane.line.leave();
        }
      } finally {
        leave();
      }
    },
    async close() {
      closing.abort(new Error('The thread is closed.'));
      await Promise.all([usual.thread.close(), second.thread.close()]);
    },
  };
}
