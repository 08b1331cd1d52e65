/**
 * The router against its peers, in one run against the same instant upstream: requests a second at 32 connections, and
 * what each adds to the upstream's own p99 at one connection. `npm run bench -- router [--seconds N] [--smoke]`.
 * Bulkhead runs twice: on its embedded defaults, and on PostgreSQL and Redis where this machine has them. Peers that this
 * machine lacks are named as absent, with the reason. docs/benchmarks.md tells how to install each.
 *
 * Bulkhead has every policy on: API key, tenant policy, RBAC, sensitive patterns and refusal rules over the body,
 * limits a minute and an hour, tokens a minute, concurrent requests, and a usage row for each request. The peers pass on.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '#test/support/free-port.ts';
import { describeMachine, printClaim, round } from './support/claims.ts';
import { COUNTER, type LoadResult, load } from './support/load.ts';
import { openBareProxy } from './support/peers/bare-proxy.ts';
import { openBifrost } from './support/peers/bifrost.ts';
import { openBulkhead, openScaledOut } from './support/peers/bulkhead.ts';
import { openLitellm } from './support/peers/litellm.ts';
import { openNginx } from './support/peers/nginx.ts';
import {
  type AbsentPeer,
  type Contestant,
  flawOfReply,
  MODEL,
  type OpenPeer,
  openPeer,
  startListening,
} from './support/peers/peer.ts';
import { openPortkey } from './support/peers/portkey.ts';

const CONNECTIONS = 32;
const ROUNDS = 3;
/** Until V8 has compiled what it will compile: the more code a contestant has, the longer it takes. */
const WARM_UP_MS = 15_000;
const UPSTREAM = fileURLToPath(new URL('./support/instant-upstream.ts', import.meta.url));

const PEERS = [
  ['nginx', openNginx],
  ['portkey', openPortkey],
  ['bifrost', openBifrost],
  ['litellm', openLitellm],
] as const;

/** About 1 KB, as a chat with a system prompt is. */
const bodyFor = ({ model = MODEL }: Contestant) =>
  JSON.stringify({
    model,
    messages: [
      { role: 'system', content: 'You are a helpful assistant of a company that ships parcels. '.repeat(12) },
      {
        role: 'user',
        content: `Where is the parcel ${COUNTER} that I sent from Lisbon on Monday, and when will it arrive?`,
      },
    ],
  });

/** Measures; prints one JSON line a claim. */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: { type: 'string', default: '5' }, smoke: { type: 'boolean', default: false } },
  });
  const durationMs = values.smoke ? 500 : Number(values.seconds) * 1_000;
  const opened: OpenPeer[] = [];
  try {
    const upstream = await openUpstream();
    opened.push(upstream);
    const absent = await openContestants(new URL(upstream.contestant.url).origin, opened);
    const machine = describeMachine();
    const results = await measure(
      opened.map(({ contestant }) => contestant),
      { rounds: values.smoke ? 1 : ROUNDS, durationMs, warmUpMs: values.smoke ? 0 : WARM_UP_MS },
    );
    printClaims(results, absent, { smoke: values.smoke, machine });
  } finally {
    for (const { close } of opened.reverse()) await close();
  }
}

async function openUpstream(): Promise<OpenPeer> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const args = [UPSTREAM, String(port)];
  const child = await startListening('upstream', { command: process.execPath, args }, origin);
  return {
    contestant: { name: 'upstream', url: `${origin}/v1/chat/completions`, headers: {} },
    close: () => child.stop(),
  };
}

/** Starts them one after the other and adds those that pass the upstream's reply on; the others are told. */
async function openContestants(upstream: string, opened: OpenPeer[]): Promise<AbsentPeer[]> {
  const absent: AbsentPeer[] = [];
  const enter = async (peer: OpenPeer | AbsentPeer, isOurs: boolean) => {
    if ('absent' in peer) {
      console.error(`ABSENT: ${peer.name}: ${peer.absent}`);
      absent.push(peer);
      return;
    }
    // At once, so that it is closed whatever comes.
    opened.push(peer);
    const flaw = await flawOfReply(peer.contestant, bodyFor(peer.contestant));
    if (flaw === null) return;
    if (isOurs) throw new Error(`${peer.contestant.name}: ${flaw}`);
    opened.pop();
    await peer.close();
    await enter({ name: peer.contestant.name, absent: flaw }, false);
  };
  await enter(await openBareProxy(upstream), true);
  await enter(await openBulkhead(upstream), true);
  await enter(await openScaledOut(upstream), true);
  for (const [name, start] of PEERS) await enter(await openPeer(name, () => start(upstream)), false);
  return absent;
}

type Results = ReadonlyMap<Contestant, { many: LoadResult[]; one: LoadResult[] }>;

/** In turns, so that a slow minute of the machine is everybody's. */
async function measure(
  contestants: readonly Contestant[],
  { rounds, durationMs, warmUpMs }: { rounds: number; durationMs: number; warmUpMs: number },
): Promise<Results> {
  const results = new Map(contestants.map((contestant) => [contestant, { many: empty(), one: empty() }]));
  const loadOf = (contestant: Contestant, connections: number, runMs: number, warmUpMs: number) =>
    load({ ...contestant, body: bodyFor(contestant), connections, durationMs: runMs, warmUpMs });
  for (const contestant of warmUpMs > 0 ? contestants : []) {
    console.error(`warming up: ${contestant.name}`);
    await loadOf(contestant, CONNECTIONS, 0, warmUpMs);
  }
  for (let turn = 1; turn <= rounds; turn++) {
    for (const [contestant, { many, one }] of results) {
      for (const [connections, into] of [[CONNECTIONS, many] as const, [1, one] as const]) {
        console.error(`round ${turn} of ${rounds}: ${contestant.name}, ${connections} connection(s)`);
        into.push(await loadOf(contestant, connections, durationMs, 1_000));
      }
    }
  }
  return results;
}

const empty = (): LoadResult[] => [];

function printClaims(results: Results, absent: readonly AbsentPeer[], common: object): void {
  const named = new Map([...results].map(([{ name }, result]) => [name, result]));
  const throughputOf = (name: string) => medianOf(named.get(name)?.many, 'requests_per_second');
  const ownP99 = medianOf(named.get('upstream')?.one, 'p99_ms');
  for (const [{ name, version }, { many, one }] of results) {
    printClaim({
      claim: 'router throughput',
      contestant: name,
      ...(version === undefined ? {} : { version }),
      connections: CONNECTIONS,
      requests_per_second: throughputOf(name),
      p50_ms: medianOf(many, 'p50_ms'),
      added_p99_ms_at_one_connection: round(medianOf(one, 'p99_ms') - ownP99),
      failures: [...many, ...one].reduce((sum, { failures }) => sum + failures, 0),
      ...common,
    });
  }
  for (const { name, absent: reason } of absent) {
    printClaim({ claim: 'router throughput', contestant: name, absent: reason, ...common });
  }
  for (const name of [...named.keys()].filter((contestant) => contestant.startsWith('bulkhead'))) {
    const to = (peer: string) => (named.has(peer) ? round(throughputOf(name) / throughputOf(peer)) : null);
    printClaim({
      claim: 'router throughput, ratios',
      contestant: name,
      to_bare_proxy: to('bare-proxy'),
      to_nginx: to('nginx'),
      to_portkey: to('portkey'),
      to_bifrost: to('bifrost'),
      to_litellm: to('litellm'),
      ...common,
    });
  }
}

type Figure = 'requests_per_second' | 'p50_ms' | 'p99_ms';

function medianOf(results: readonly LoadResult[] | undefined, figure: Figure): number {
  const sorted = (results ?? []).map((result) => result[figure]).sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

if (import.meta.main) await run(process.argv.slice(2));
