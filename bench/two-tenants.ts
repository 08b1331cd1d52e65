/**
 * What a tenant waits while another asks a hundred times as much of one shared resource, beside what it waits alone.
 * `npm run bench -- two-tenants [--smoke] [--services] [--only <part of a resource's name>]`. `--services` runs router, orchestrator and RAG service as
 * processes over PostgreSQL and Redis, where these are installed; otherwise everything runs in one process on the embedded
 * defaults. The load generator and the engine share the machine with them.
 *
 * The quiet tenant makes one call after another. The other keeps a number of calls open, and makes the next when one is
 * answered; calls that are refused count as answered. Neither has a rate limit, so that limits do not do the work.
 */
import { parseArgs } from 'node:util';
import { describeMachine, printClaim, round, summarise } from './support/claims.ts';
import { startFlood } from './support/flood.ts';
import { openSharedResources, type SharedResource } from './support/shared-resources.ts';

/** What the quiet tenant may wait: so many times as long as alone, and so many milliseconds more. */
const FACTOR = 3;
const EXTRA_MS = 1_000;

type Effort = Readonly<{ alone: number; beside: number; besideMs: number; rampMs: number }>;
const FULL: Effort = { alone: 20, beside: 40, besideMs: 8_000, rampMs: 1_000 };
const SMOKE: Effort = { alone: 5, beside: 8, besideMs: 2_500, rampMs: 300 };

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      smoke: { type: 'boolean', default: false },
      services: { type: 'boolean', default: false },
      only: { type: 'string' },
    },
  });
  const machine = describeMachine();
  const opened = await openSharedResources({ services: values.services });
  let missed = 0;
  try {
    for (const resource of opened.resources) {
      if (values.only !== undefined && !resource.name.includes(values.only)) continue;
      const claim = await measure(resource, values.smoke ? SMOKE : FULL);
      if (!claim.within_bound) missed += 1;
      printClaim({
        claim: 'time of one tenant beside a flood of another',
        shape: values.services ? 'three services, PostgreSQL, Redis' : 'one process, embedded',
        ...claim,
        smoke: values.smoke,
        machine,
      });
    }
  } finally {
    await opened.close();
  }
  if (missed > 0) {
    console.error(`${missed} resources: more than ${FACTOR} times the lone time and ${EXTRA_MS} ms`);
    process.exitCode = 1;
  }
}

async function measure(resource: SharedResource, effort: Effort) {
  console.error(resource.name);
  await resource.quiet();
  const alone = await timesOf(resource.quiet, effort.alone, effort.besideMs);
  const flood = await startFlood({ ...resource.flood, rampMs: effort.rampMs });
  const beside = await timesOf(resource.quiet, effort.beside, effort.besideMs);
  const flooded = await flood.stop();
  await resource.afterwards?.();
  const [lone, besides] = [summarise(alone.times), summarise(beside.times)];
  const isWithin = (share: 'p50_ms' | 'p99_ms') => besides[share] <= FACTOR * lone[share] + EXTRA_MS;
  return {
    resource: resource.name,
    flood_at_once: resource.flood.atOnce,
    alone_calls: alone.times.length,
    alone: lone,
    beside_calls: beside.times.length,
    beside: besides,
    ratio_p50: round(besides.p50_ms / lone.p50_ms),
    ratio_p99: round(besides.p99_ms / lone.p99_ms),
    failures: alone.failures + beside.failures,
    flood: flooded,
    within_bound: isWithin('p50_ms') && isWithin('p99_ms') && alone.failures + beside.failures === 0,
  };
}

/** One call after another, until there were so many or the time has passed; at least one. */
async function timesOf(call: () => Promise<void>, count: number, maxMs: number) {
  const times: number[] = [];
  let failures = 0;
  const end = performance.now() + maxMs;
  while (times.length === 0 || (times.length < count && performance.now() < end)) {
    const start = performance.now();
    await call().catch((error: unknown) => {
      failures += 1;
      console.error(`a call of the quiet tenant failed: ${error instanceof Error ? error.message : error}`);
    });
    times.push(performance.now() - start);
  }
  return { times, failures };
}

if (import.meta.main) await run(process.argv.slice(2));
