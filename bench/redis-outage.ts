/**
 * A Redis that freezes (SIGSTOP) under a steady stream of decisions: what each costs, and how many are admitted.
 * `npm run bench -- redis-outage [--smoke]`. Needs redis-server or valkey-server.
 *
 * Decisions are asked for one after another, so the first that meets the frozen Redis waits, and no other may.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { newRequestId } from '#app/ids.ts';
import { createTenantContext } from '#app/tenant-context.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { LimitScope } from '#router/limits/rate-limiter.ts';
import { connectRedis } from '#router/limits/redis/redis-connection.ts';
import { createRedisRateLimiter, REDIS_SILENCE_MS } from '#router/limits/redis/redis-rate-limiter.ts';
import { startRedis } from '#test/support/start-redis.ts';
import { testContext } from '#test/support/test-context.ts';
import { describeMachine, printClaim, round, summarise } from './support/claims.ts';

const LIMIT = 1_000;
/** Long enough for several probes of the open circuit. */
const FROZEN_MS = 5_000;

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { smoke: { type: 'boolean', default: false } } });
  const machine = describeMachine();
  const server = await startRedis();
  const { pid } = server;
  if (pid === undefined) throw new Error('Redis has no process.');
  const monotonicNow = () => performance.now();
  const limiter = createRedisRateLimiter({
    redis: connectRedis({ url: server.env.REDIS_URL ?? '', cluster: false, onError: () => undefined }),
    local: createMemoryRateLimiter({ monotonicNow }),
    instanceId: 'bench',
    monotonicNow,
    onOutage: () => undefined,
  });
  try {
    await limiter.start();
    const context = testContext('acme', 'alice');
    const limits = { requests_per_hour: null, tokens_per_minute: null, concurrent_requests: null };
    const scopes: LimitScope[] = [{ scope: 'tenant', limits: { requests_per_minute: LIMIT, ...limits } }];
    const decide = async () => {
      const start = performance.now();
      const { admitted } = await limiter.admit(
        createTenantContext({ ...context, requestId: newRequestId() }),
        scopes,
      );
      return { admitted, took: performance.now() - start };
    };
    const decideFor = async (milliseconds: number) => {
      const all: Awaited<ReturnType<typeof decide>>[] = [];
      for (const until = performance.now() + milliseconds; performance.now() < until; ) {
        all.push(await decide());
        await pause(5);
      }
      return all;
    };
    await decideFor(500);
    const before = await decideFor(1_000);
    process.kill(pid, 'SIGSTOP');
    const frozen = await decideFor(values.smoke ? 1_500 : FROZEN_MS).finally(() =>
      process.kill(pid, 'SIGCONT'),
    );
    await pause(1_500);
    const after = await decideFor(1_000);
    const took = (decisions: typeof before) => decisions.map((decision) => decision.took);
    const [first = Number.NaN, ...others] = took(frozen);
    printClaim({
      claim: 'decisions on limits while Redis is frozen',
      silence_allowed_ms: REDIS_SILENCE_MS,
      before: summarise(took(before)),
      first_ms: round(first),
      others: summarise(others),
      decisions_that_waited: took(frozen).filter((ms) => ms > REDIS_SILENCE_MS / 2).length,
      seconds_frozen: round(values.smoke ? 1.5 : FROZEN_MS / 1_000),
      after: summarise(took(after)),
      still_degraded: limiter.isDegraded,
      admitted: [...before, ...frozen, ...after].filter(({ admitted }) => admitted).length,
      smoke: values.smoke,
      machine,
    });
  } finally {
    await limiter.close();
    await server.stop();
  }
}

if (import.meta.main) await run(process.argv.slice(2));
