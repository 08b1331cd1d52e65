/**
 * Many streams at once on one process, and what the platform adds to the time to the first token.
 * `npm run bench -- streams [--smoke]`.
 *
 * Streams: every piece of every stream must arrive, in order, and each stream must be in the usage ledger with the
 * tokens that the engine counted. Memory: the resident set of `bulkhead up` with all streams open, less what it was
 * after a warm-up of as many streams as fit, divided by the streams.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { at, call } from '#test/support/http-client.ts';
import {
  type Bulkhead,
  newDataDirectory,
  type Platform,
  startBulkhead,
} from '#test/support/start-bulkhead.ts';
import { createTenants } from '#test/support/tenants.ts';
import { describeMachine, printClaim, round, summarise } from './support/claims.ts';
import { MODEL, pieceText, startPacedEngine } from './support/paced-engine.ts';
import { type OpenStream, openStream } from './support/stream-client.ts';

const PIECES = 12;
const INTERVAL_MS = 1_500;

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { smoke: { type: 'boolean', default: false } } });
  const machine = describeMachine();
  await manyStreams(values.smoke ? 100 : 2_000, values.smoke, machine);
  await firstToken(values.smoke ? 50 : 1_000, values.smoke, machine);
}

async function manyStreams(streams: number, smoke: boolean, machine: object): Promise<void> {
  const engine = await startPacedEngine({ pieces: PIECES, intervalMs: smoke ? 200 : INTERVAL_MS });
  const bulkhead = await startAgain(engineSettings(engine.origin));
  try {
    const key = await unlimitedKey(bulkhead);
    const url = `${bulkhead.url}/v1/chat/completions`;
    const open = async (count: number, from: number) => {
      const all: OpenStream[] = [];
      for (let i = 0; i < count; i++) {
        all.push(openStream({ url, key, model: MODEL, message: `#${from + i} count` }));
        if (i % 50 === 49) await pause(20);
      }
      return all;
    };
    console.error('warming up');
    await Promise.all((await open(Math.min(200, streams), 1_000_000)).map(({ ended }) => ended));
    await pause(1_000);
    const before = await residentKilobytes(bulkhead.child.pid);

    console.error(`${streams} streams`);
    const all = await open(streams, 0);
    const deadline = performance.now() + 60_000;
    while (engine.active() < streams && engine.finished() < streams && performance.now() < deadline)
      await pause(50);
    const atOnce = engine.active();
    const during = await residentKilobytes(bulkhead.child.pid);
    await Promise.all(all.map(({ ended }) => ended));

    const wanted = Array.from({ length: PIECES }, (_, place) => pieceText(place)).join('');
    const whole = all.filter((stream) => stream.isDone() && stream.text() === wanted).length;
    printClaim({
      claim: 'concurrent SSE streams on one process',
      streams,
      open_at_once: atOnce,
      whole,
      streams_with_lost_or_disordered_frames: streams - whole,
      resident_kilobytes_each: round((during - before) / streams),
      resident_megabytes_before: round(before / 1_024),
      smoke,
      machine,
    });
  } finally {
    await bulkhead.dispose();
    await engine.close();
  }
}

/** On data that is there already: what the first start leaves unused in memory would be counted as free for the streams. */
async function startAgain(env: Record<string, string>): Promise<Bulkhead> {
  const dataDirectory = await newDataDirectory();
  const first = await startBulkhead({ dataDirectory, env });
  await first.child.stop();
  return startBulkhead({ dataDirectory, env });
}

async function firstToken(requests: number, smoke: boolean, machine: object): Promise<void> {
  const engine = await startPacedEngine({ pieces: 2, intervalMs: 0 });
  const bulkhead = await startBulkhead({ env: engineSettings(engine.origin) });
  try {
    const key = await unlimitedKey(bulkhead);
    const contestants = [
      { name: 'direct', url: `${engine.origin}/v1/chat/completions`, times: [] as number[] },
      { name: 'bulkhead', url: `${bulkhead.url}/v1/chat/completions`, times: [] as number[] },
    ];
    const warmUp = 100;
    // In turns, so that a slow moment of the machine is everybody's.
    for (let i = 0; i < requests + warmUp; i++) {
      for (const { url, times } of contestants) {
        const start = performance.now();
        let first = Number.NaN;
        const onFirstByte = () => {
          first = performance.now() - start;
        };
        await openStream({ url, key, model: MODEL, message: `#${i}`, onFirstByte }).ended;
        if (i >= warmUp) times.push(first);
      }
    }
    const [direct, through] = contestants.map(({ times }) => summarise(times));
    printClaim({
      claim: 'time to first token, one stream at a time, a connection each',
      requests,
      direct,
      bulkhead: through,
      added_p50_ms: round((through?.p50_ms ?? Number.NaN) - (direct?.p50_ms ?? Number.NaN)),
      added_p99_ms: round((through?.p99_ms ?? Number.NaN) - (direct?.p99_ms ?? Number.NaN)),
      smoke,
      machine,
    });
  } finally {
    await bulkhead.dispose();
    await engine.close();
  }
}

const engineSettings = (origin: string) => ({
  INFERENCE_BASE_URL: `${origin}/v1`,
  INFERENCE_MODEL: MODEL,
  LOG_LEVEL: 'info',
});

async function unlimitedKey(bulkhead: Platform): Promise<string> {
  const { alice } = await createTenants(bulkhead);
  const { json } = await call(bulkhead.url, 'GET /v1/usage', { key: alice });
  if (at(json, 'object') === undefined) throw new Error('The key does not work.');
  const changed = await call(bulkhead.url, 'PATCH /admin/tenants/acme', {
    key: bulkhead.operatorKey,
    json: {
      rate_limits: {
        requests_per_minute: 1_000_000,
        requests_per_hour: 10_000_000,
        tokens_per_minute: 1_000_000_000,
        concurrent_requests: 10_000,
      },
    },
  });
  if (changed.status !== 200) throw new Error(`The limits were not set: ${changed.text}`);
  return alice;
}

/** Of Linux alone. */
async function residentKilobytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
}

if (import.meta.main) await run(process.argv.slice(2));
