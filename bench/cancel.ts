/**
 * Clients that leave at random moments: what is left of them. `npm run bench -- cancel [--smoke]`.
 *
 * Each of 10,000 streamed requests is closed by its client after 0 to 400 ms: before it is admitted, while the engine
 * thinks, or in the middle of its answer. Afterwards nothing may be held: no place among the tenant's concurrent
 * requests, no reserved token, no socket on either side; and the engine must have lost each caller within 100 ms.
 */
import { readdir, readlink } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { call } from '#test/support/http-client.ts';
import { startBulkhead } from '#test/support/start-bulkhead.ts';
import { createTenants } from '#test/support/tenants.ts';
import { describeMachine, printClaim, round, summarise } from './support/claims.ts';
import { MODEL, startPacedEngine } from './support/paced-engine.ts';
import { openStream } from './support/stream-client.ts';

const AT_ONCE = 64;
/** More than are ever open, fewer than are cancelled: one leaked place in a hundred would close the tenant. */
const PLACES = 100;
const TOKENS_A_MINUTE = 1_000_000_000;
const SETTLE_MS = 15_000;

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { smoke: { type: 'boolean', default: false } } });
  const requests = values.smoke ? 300 : 10_000;
  const machine = describeMachine();
  const engine = await startPacedEngine({ pieces: 40, intervalMs: 15, firstMs: 60 });
  const bulkhead = await startBulkhead({
    env: { INFERENCE_BASE_URL: `${engine.origin}/v1`, INFERENCE_MODEL: MODEL, LOG_LEVEL: 'info' },
  });
  try {
    const { alice } = await createTenants(bulkhead);
    const rate_limits = {
      requests_per_minute: null,
      requests_per_hour: null,
      tokens_per_minute: TOKENS_A_MINUTE,
      concurrent_requests: PLACES,
    };
    const limited = await call(bulkhead.url, 'PATCH /admin/tenants/acme', {
      key: bulkhead.operatorKey,
      json: { rate_limits },
    });
    if (limited.status !== 200) throw new Error(`The limits were not set: ${limited.text}`);
    const url = `${bulkhead.url}/v1/chat/completions`;
    const open = (label: string) => openStream({ url, key: alice, model: MODEL, message: `${label} count` });
    await open('#999999999').ended;
    // Connections to the engine are kept for the next call; clients' are not.
    const socketsOf = async () => (await openSockets(bulkhead.child.pid)) - (await engine.sockets());
    const before = await socketsOf();

    let next = 0;
    let reachedEngine = 0;
    let refused = 0;
    const delays: number[] = [];
    const leave = async () => {
      while (next < requests) {
        const label = `#${next++}`;
        if (next % 1_000 === 0) console.error(`${next} of ${requests}`);
        const stream = open(label);
        await Promise.race([stream.ended, pause(Math.random() * 400)]);
        const leftAt = performance.now();
        stream.leave();
        await stream.ended;
        if (stream.status() !== null && stream.status() !== 200) refused += 1;
        // The engine has heard of it by now, or never will.
        await pause(150);
        const found = engine.callOf(label);
        if (found === undefined) continue;
        reachedEngine += 1;
        if (found.leftAt !== null) delays.push(Math.max(0, found.leftAt - leftAt));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, leave));

    const deadline = performance.now() + SETTLE_MS;
    while (engine.active() > 0 && performance.now() < deadline) await pause(50);
    // As many as there are places must be let in together; one that is still held would refuse the last.
    const all = Array.from({ length: PLACES }, (_, i) => open(`#${requests + i}`));
    await Promise.all(all.map(({ ended }) => ended));
    const admitted = all.filter((stream) => stream.isDone()).length;
    await pause(1_500);
    const after = await socketsOf();
    printClaim({
      claim: 'clients that leave at random moments',
      requests,
      reached_the_engine: reachedEngine,
      refused,
      leaked_engine_calls: engine.active(),
      leaked_places: PLACES - admitted,
      leaked_sockets: Math.max(0, after - before),
      aborted_within_ms: summarise(delays),
      aborted_later_than_100_ms: delays.filter((delay) => delay > 100).length,
      share_that_reached_the_engine: round(reachedEngine / requests),
      smoke: values.smoke,
      machine,
    });
  } finally {
    await bulkhead.dispose();
    await engine.close();
  }
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
