/**
 * Clients that leave at random moments: what is left of them. `npm run bench -- cancel [--redis] [--smoke]`.
 *
 * Each of 10,000 streamed requests is closed by its client after 0 to 400 ms: before it is admitted, while the engine
 * thinks, or in the middle of its answer. Afterwards nothing may be held: no place among the tenant's concurrent
 * requests, no reserved token, no socket on either side; and the engine must have lost each caller within 100 ms.
 *
 * Tokens that a leaving client had used stay counted, and the estimate of a prompt that the engine was given and could not
 * count any more; what else was reserved must not. So the requests are spread over tenants, each with a fresh minute, and at the
 * end of its share each tenant's limiter must count exactly what its usage rows have, counted and estimated; and estimated must
 * be the prompts of those that had reached the engine, and of no others than had been sent. `--redis` counts in Redis instead of memory.
 */
import { readdir, readlink } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { estimateTextTokens } from '#router/limits/estimate-tokens.ts';
import { at, call } from '#test/support/http-client.ts';
import { type Platform, startBulkhead } from '#test/support/start-bulkhead.ts';
import { startRedis } from '#test/support/start-redis.ts';
import { createKey, createTenant } from '#test/support/tenants.ts';
import { describeMachine, printClaim, round, summarise } from './support/claims.ts';
import { MODEL, type PacedEngine, startPacedEngine } from './support/paced-engine.ts';
import { openStream } from './support/stream-client.ts';

const AT_ONCE = 64;
/** More than are ever open, fewer than are cancelled: one leaked place in a hundred would close the tenant. */
const PLACES = 100;
const TOKENS_A_MINUTE = 1_000_000_000;
const SETTLE_MS = 15_000;
/** Of one tenant: few enough that none of its reservations leaves the minute before they are counted. */
const REQUESTS_A_TENANT = 1_000;
const WINDOW_MS = 60_000;

type Found = { reachedEngine: number; refused: number; delays: number[] };
/** Estimated tokens of the prompts of clients that left before their answer was whole. */
type Prompts = { sent: number; reachedEngine: number };

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { smoke: { type: 'boolean', default: false }, redis: { type: 'boolean', default: false } },
  });
  const requests = values.smoke ? 300 : 10_000;
  const machine = describeMachine();
  const redis = values.redis ? await startRedis() : null;
  const engine = await startPacedEngine({ pieces: 40, intervalMs: 15, firstMs: 60 });
  const bulkhead = await startBulkhead({
    env: {
      INFERENCE_BASE_URL: `${engine.origin}/v1`,
      INFERENCE_MODEL: MODEL,
      LOG_LEVEL: 'info',
      ...(redis === null ? {} : redis.env),
    },
  });
  try {
    const url = `${bulkhead.url}/v1/chat/completions`;
    const openAs = (key: string) => (label: string) =>
      openStream({ url, key, model: MODEL, message: `${label} count` });
    let open = openAs(await newTenant(bulkhead, 'warm-up'));
    await open('#999999999').ended;
    // Connections to the engine are kept for the next call; clients' are not.
    const socketsOf = async () => (await openSockets(bulkhead.child.pid)) - (await engine.sockets());
    const before = await socketsOf();

    const found: Found = { reachedEngine: 0, refused: 0, delays: [] };
    let leakedReservations = 0;
    let keptPrompts = 0;
    let uncounted = 0;
    let usedTokens = 0;
    for (let first = 0; first < requests; first += REQUESTS_A_TENANT) {
      console.error(`${first} of ${requests}`);
      const tenant = `leaving-${first}`;
      const key = await newTenant(bulkhead, tenant);
      open = openAs(key);
      const startedAt = performance.now();
      const end = Math.min(requests, first + REQUESTS_A_TENANT);
      const prompts = await leaveAll(open, engine, { first, end }, found);
      await engineIdle(engine);
      const { counted, used, estimated } = await tokensOf(bulkhead, tenant, key);
      if (performance.now() - startedAt > WINDOW_MS) {
        throw new Error(
          'This machine is too slow: reservations had left the minute before they were counted.',
        );
      }
      leakedReservations += Math.abs(counted - used - estimated) + Math.max(0, estimated - prompts.sent);
      uncounted += Math.max(0, prompts.reachedEngine - estimated);
      keptPrompts += estimated;
      usedTokens += used;
    }

    // As many as there are places must be let in together; one that is still held would refuse the last.
    const all = Array.from({ length: PLACES }, (_, i) => open(`#${requests + i}`));
    await Promise.all(all.map(({ ended }) => ended));
    const admitted = all.filter((stream) => stream.isDone()).length;
    await pause(1_500);
    const leaks = {
      leaked_engine_calls: engine.active(),
      leaked_places: PLACES - admitted,
      leaked_token_reservations: leakedReservations,
      leaked_sockets: Math.max(0, (await socketsOf()) - before),
      uncounted_prompt_tokens: uncounted,
    };
    printClaim({
      claim: 'clients that leave at random moments',
      requests,
      limits_in: redis === null ? 'memory' : 'redis',
      reached_the_engine: found.reachedEngine,
      refused: found.refused,
      ...leaks,
      tokens_used_before_leaving: usedTokens,
      prompt_tokens_kept: keptPrompts,
      aborted_within_ms: summarise(found.delays),
      aborted_later_than_100_ms: found.delays.filter((delay) => delay > 100).length,
      share_that_reached_the_engine: round(found.reachedEngine / requests),
      smoke: values.smoke,
      machine,
    });
    if (Object.values(leaks).some((count) => count !== 0)) throw new Error('Something is still held.');
  } finally {
    await bulkhead.dispose();
    await engine.close();
    await redis?.stop();
  }
}

/** Sends the requests with these labels, {@link AT_ONCE} at a time, and leaves each of them. */
async function leaveAll(
  open: (label: string) => ReturnType<typeof openStream>,
  engine: PacedEngine,
  { first, end }: { first: number; end: number },
  found: Found,
): Promise<Prompts> {
  const prompts: Prompts = { sent: 0, reachedEngine: 0 };
  let next = first;
  const leave = async () => {
    while (next < end) {
      const label = `#${next++}`;
      const stream = open(label);
      await Promise.race([stream.ended, pause(Math.random() * 400)]);
      const leftAt = performance.now();
      stream.leave();
      await stream.ended;
      if (stream.status() !== null && stream.status() !== 200) found.refused += 1;
      // The engine has heard of it by now, or never will.
      await pause(150);
      const { bodyBytes } = stream;
      const prompt = stream.isDone() ? 0 : estimateTextTokens({ surface: '', body: null, bodyBytes });
      prompts.sent += prompt;
      const call = engine.callOf(label);
      if (call === undefined) continue;
      prompts.reachedEngine += prompt;
      found.reachedEngine += 1;
      if (call.leftAt !== null) found.delays.push(Math.max(0, call.leftAt - leftAt));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, leave));
  return prompts;
}

async function engineIdle(engine: PacedEngine): Promise<void> {
  const deadline = performance.now() + SETTLE_MS;
  while (engine.active() > 0 && performance.now() < deadline) await pause(50);
}

async function newTenant(platform: Platform, tenant_id: string): Promise<string> {
  const rate_limits = {
    requests_per_minute: null,
    requests_per_hour: null,
    tokens_per_minute: TOKENS_A_MINUTE,
    concurrent_requests: PLACES,
  };
  await createTenant(platform, { tenant_id, display_name: tenant_id, rate_limits });
  return createKey(platform, tenant_id, { user_id: 'alice' });
}

/** Tokens that the tenant's limiter counts in the last minute, and those of its usage rows: counted and estimated. */
async function tokensOf(
  platform: Platform,
  tenant: string,
  key: string,
): Promise<{ counted: number; used: number; estimated: number }> {
  // The last abort is settled in the limiter and in the ledger a moment after it was noticed.
  await pause(500);
  const usage = await call(platform.url, `GET /admin/tenants/${tenant}/usage`, { key: platform.operatorKey });
  const used = Number(at(usage.json, 'totals.token_usage.total_tokens'));
  const estimated = Number(at(usage.json, 'totals.estimated_prompt_tokens'));
  const models = await call(platform.url, 'GET /v1/models', { key });
  const remaining = Number(models.headers['x-ratelimit-remaining-tokens']);
  if (Number.isNaN(used) || Number.isNaN(estimated) || Number.isNaN(remaining)) {
    throw new Error(`The tokens are not told: ${usage.text} ${JSON.stringify(models.headers)}`);
  }
  return { counted: TOKENS_A_MINUTE - remaining, used, estimated };
}

/** Of Linux alone. */
async function openSockets(pid: number): Promise<number> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(
    descriptors.map((descriptor) => readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')),
  );
  return targets.filter((target) => target.startsWith('socket:')).length;
}

if (import.meta.main) await run(process.argv.slice(2));
