/**
 * The router against its peers, in one run against the same instant upstream: requests a second at 32 connections, and
 * what each adds to the upstream's own p99 at one connection. `npm run bench -- router [--seconds N] [--smoke]`.
 * Bulkhead runs twice: on its embedded defaults, and on PostgreSQL and Redis where this machine has them.
 *
 * Bulkhead has every policy on: API key, tenant policy, RBAC, sensitive patterns and refusal rules over the body,
 * limits a minute and an hour, tokens a minute, concurrent requests, and a usage row for each request.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { type ChildService, startChildService, untilReady } from '#test/support/child-service.ts';
import { createPostgresDatabase } from '#test/support/create-postgres-database.ts';
import { freePort } from '#test/support/free-port.ts';
import { startBulkhead } from '#test/support/start-bulkhead.ts';
import { startPostgres } from '#test/support/start-postgres.ts';
import { startRedis } from '#test/support/start-redis.ts';
import { NotInstalledError, type StartedServer } from '#test/support/started-server.ts';
import { describeMachine, printClaim, round } from './support/claims.ts';
import { COUNTER, type LoadResult, load } from './support/load.ts';

const CONNECTIONS = 32;
const ROUNDS = 3;
const PORTKEY = '@portkey-ai/gateway@1.15.2';
const CACHE = fileURLToPath(new URL('../.cache/bench', import.meta.url));
const support = (name: string) => fileURLToPath(new URL(`./support/${name}`, import.meta.url));

/** About 1 KB, as a chat with a system prompt is. */
const body = JSON.stringify({
  model: 'instant',
  messages: [
    { role: 'system', content: 'You are a helpful assistant of a company that ships parcels. '.repeat(12) },
    {
      role: 'user',
      content: `Where is the parcel ${COUNTER} that I sent from Lisbon on Monday, and when will it arrive?`,
    },
  ],
});

type Contestant = { name: string; url: string; headers: Record<string, string> };

async function startNode(name: string, args: string[], port: number): Promise<ChildService> {
  const child = startChildService({ name, command: process.execPath, args });
  await untilReady(
    child,
    async () => {
      // Any answer means that it listens.
      await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1_000) });
      return true;
    },
    30_000,
  );
  return child;
}

async function startPortkey(
  upstream: string,
): Promise<{ child: ChildService; contestant: Contestant } | null> {
  const entry = `${CACHE}/node_modules/@portkey-ai/gateway/build/start-server.js`;
  if (!existsSync(entry)) {
    await mkdir(CACHE, { recursive: true });
    try {
      await promisify(execFile)('npm', [
        'install',
        '--no-save',
        '--no-fund',
        '--no-audit',
        '--prefix',
        CACHE,
        PORTKEY,
      ]);
    } catch (error) {
      console.error(
        `SKIPPED: Portkey cannot be installed: ${error instanceof Error ? error.message : error}`,
      );
      return null;
    }
  }
  const port = await freePort();
  const child = await startNode('portkey', [entry, `--port=${port}`, '--headless'], port);
  const headers = {
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': upstream,
    authorization: 'Bearer none',
  };
  return {
    child,
    contestant: { name: 'portkey', url: `http://127.0.0.1:${port}/v1/chat/completions`, headers },
  };
}

async function createBenchTenant(url: string, operatorKey: string): Promise<string> {
  const post = async (path: string, value: unknown, method = 'POST') => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${operatorKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(value),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as { api_key?: string };
  };
  await post('/admin/tenants', { tenant_id: 'bench', display_name: 'Bench' });
  await post(
    '/admin/tenants/bench',
    {
      sensitive_patterns: [
        { name: 'internal hosts', pattern: '[a-z0-9-]+\\.corp\\.example' },
        { name: 'ticket numbers', pattern: '\\bSEC-[0-9]{4,}\\b' },
        { name: 'passwords', pattern: 'password\\s*[:=]' },
      ],
      refusal_rules: [{ name: 'legal', phrases: ['legal advice', 'sue the company'] }],
      blocked_tools: ['shell'],
      rate_limits: {
        requests_per_minute: 10_000_000,
        requests_per_hour: 100_000_000,
        tokens_per_minute: 1_000_000_000,
        concurrent_requests: 10_000,
      },
    },
    'PATCH',
  );
  const { api_key } = await post('/admin/tenants/bench/keys', { user_id: 'bench' });
  if (api_key === undefined) throw new Error('No key was made.');
  return api_key;
}

type Open = Readonly<{ contestant: Contestant; close(): Promise<void> }>;

async function openBulkhead(name: string, upstream: string, env: Record<string, string>): Promise<Open> {
  const bulkhead = await startBulkhead({
    env: { INFERENCE_BASE_URL: `${upstream}/v1`, INFERENCE_MODEL: 'instant', LOG_LEVEL: 'info', ...env },
  });
  const key = await createBenchTenant(bulkhead.url, bulkhead.operatorKey);
  const headers = { authorization: `Bearer ${key}` };
  return {
    contestant: { name, url: `${bulkhead.url}/v1/chat/completions`, headers },
    close: () => bulkhead.dispose(),
  };
}

/** Bulkhead over native servers, as it is scaled out; null where this machine has none. */
async function openScaledOut(upstream: string): Promise<Open | null> {
  const servers: StartedServer[] = [];
  const close = async () => {
    for (const server of servers.reverse()) await server.stop();
  };
  try {
    for (const start of [startPostgres, startRedis]) servers.push(await start());
    const [postgres, redis] = servers.map(({ env }) => env);
    const open = await openBulkhead('bulkhead on PostgreSQL and Redis', upstream, {
      DATABASE_URL: (await createPostgresDatabase(postgres?.TEST_POSTGRES_URL)).url,
      REDIS_URL: redis?.REDIS_URL ?? '',
    });
    return {
      ...open,
      close: async () => {
        await open.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    if (!(error instanceof NotInstalledError)) throw error;
    console.error(`SKIPPED: ${error.message}`);
    return null;
  }
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Measures; prints one JSON line a claim. */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: { type: 'string', default: '5' }, smoke: { type: 'boolean', default: false } },
  });
  const durationMs = values.smoke ? 500 : Number(values.seconds) * 1_000;
  const rounds = values.smoke ? 1 : ROUNDS;
  const machine = describeMachine();
  const children: ChildService[] = [];
  const opened: Open[] = [];
  try {
    const upstreamPort = await freePort();
    children.push(
      await startNode('upstream', [support('instant-upstream.ts'), String(upstreamPort)], upstreamPort),
    );
    const origin = `http://127.0.0.1:${upstreamPort}`;
    const barePort = await freePort();
    children.push(
      await startNode('bare proxy', [support('bare-proxy.ts'), String(barePort), origin], barePort),
    );
    opened.push(await openBulkhead('bulkhead', origin, {}));
    const scaledOut = await openScaledOut(origin);
    if (scaledOut !== null) opened.push(scaledOut);
    const portkey = await startPortkey(`${origin}/v1`);
    if (portkey !== null) children.push(portkey.child);
    const contestants: Contestant[] = [
      { name: 'upstream', url: `${origin}/v1/chat/completions`, headers: {} },
      { name: 'bare-proxy', url: `http://127.0.0.1:${barePort}/v1/chat/completions`, headers: {} },
      ...opened.map(({ contestant }) => contestant),
      ...(portkey === null ? [] : [portkey.contestant]),
    ];
    const many = new Map<string, LoadResult[]>();
    const one = new Map<string, LoadResult[]>();
    // In turns, so that a slow minute of the machine is everybody's.
    for (let turn = 0; turn < rounds; turn++) {
      for (const contestant of contestants) {
        for (const [connections, results] of [
          [CONNECTIONS, many],
          [1, one],
        ] as const) {
          console.error(`round ${turn + 1} of ${rounds}: ${contestant.name}, ${connections} connection(s)`);
          const result = await load({ ...contestant, body, connections, durationMs, warmUpMs: 1_000 });
          results.set(contestant.name, [...(results.get(contestant.name) ?? []), result]);
        }
      }
    }
    const rps = (name: string) => median((many.get(name) ?? []).map((result) => result.requests_per_second));
    const p99 = (name: string) => median((one.get(name) ?? []).map((result) => result.p99_ms));
    for (const { name } of contestants) {
      const failures = [...(many.get(name) ?? []), ...(one.get(name) ?? [])].reduce(
        (sum, { failures: n }) => sum + n,
        0,
      );
      printClaim({
        claim: 'router throughput',
        contestant: name,
        connections: CONNECTIONS,
        requests_per_second: rps(name),
        p50_ms: median((many.get(name) ?? []).map((result) => result.p50_ms)),
        added_p99_ms_at_one_connection: round(p99(name) - p99('upstream')),
        failures,
        smoke: values.smoke,
        machine,
      });
    }
    for (const { contestant } of opened) {
      printClaim({
        claim: 'router throughput, ratios',
        contestant: contestant.name,
        to_bare_proxy: round(rps(contestant.name) / rps('bare-proxy')),
        to_portkey: portkey === null ? null : round(rps(contestant.name) / rps('portkey')),
        smoke: values.smoke,
        machine,
      });
    }
  } finally {
    for (const { close } of opened.reverse()) await close();
    for (const child of children.reverse()) await child.stop();
  }
}

if (import.meta.main) await run(process.argv.slice(2));
