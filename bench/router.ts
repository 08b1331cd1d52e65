/**
 * The router against its peers, in one run against the same instant upstream: requests a second at 32 connections, and
 * what each adds to the upstream's own p99 at one connection. `npm run bench -- router [--seconds N]`.
 *
 * Bulkhead has every policy on: API key, tenant policy, RBAC, sensitive patterns and refusal rules over the body,
 * limits a minute and an hour, tokens a minute, concurrent requests, and a usage row for each request.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type ChildService, startChildService, untilReady } from '#test/support/child-service.ts';
import { freePort } from '#test/support/free-port.ts';
import { startBulkhead } from '#test/support/start-bulkhead.ts';
import { type LoadResult, load } from './support/load.ts';

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
      content: 'Where is the parcel that I sent from Lisbon on Monday, and when will it arrive?',
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

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Measures; prints one JSON line a claim. */
export async function run(args: readonly string[]): Promise<void> {
  const at = args.indexOf('--seconds');
  const durationMs = (at < 0 ? 5 : Number(args[at + 1])) * 1_000;
  const children: ChildService[] = [];
  const upstreamPort = await freePort();
  children.push(
    await startNode('upstream', [support('instant-upstream.ts'), String(upstreamPort)], upstreamPort),
  );
  const origin = `http://127.0.0.1:${upstreamPort}`;
  const barePort = await freePort();
  children.push(
    await startNode('bare proxy', [support('bare-proxy.ts'), String(barePort), origin], barePort),
  );
  const bulkhead = await startBulkhead({
    env: { INFERENCE_BASE_URL: `${origin}/v1`, INFERENCE_MODEL: 'instant', LOG_LEVEL: 'info' },
  });
  const portkey = await startPortkey(`${origin}/v1`);
  if (portkey !== null) children.push(portkey.child);
  try {
    const key = await createBenchTenant(bulkhead.url, bulkhead.operatorKey);
    const contestants: Contestant[] = [
      { name: 'upstream', url: `${origin}/v1/chat/completions`, headers: {} },
      { name: 'bare-proxy', url: `http://127.0.0.1:${barePort}/v1/chat/completions`, headers: {} },
      {
        name: 'bulkhead',
        url: `${bulkhead.url}/v1/chat/completions`,
        headers: { authorization: `Bearer ${key}` },
      },
      ...(portkey === null ? [] : [portkey.contestant]),
    ];
    const many = new Map<string, LoadResult[]>();
    const one = new Map<string, LoadResult[]>();
    // In turns, so that a slow minute of the machine is everybody's.
    for (let round = 0; round < ROUNDS; round++) {
      for (const contestant of contestants) {
        for (const [connections, results] of [
          [CONNECTIONS, many],
          [1, one],
        ] as const) {
          console.error(`round ${round + 1} of ${ROUNDS}: ${contestant.name}, ${connections} connection(s)`);
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
      print({
        claim: 'router throughput',
        contestant: name,
        connections: CONNECTIONS,
        requests_per_second: rps(name),
        p50_ms: median((many.get(name) ?? []).map((result) => result.p50_ms)),
        added_p99_ms_at_one_connection: Math.round((p99(name) - p99('upstream')) * 1_000) / 1_000,
        failures,
      });
    }
    print({
      claim: 'router ratios',
      to_bare_proxy: ratio(rps('bulkhead'), rps('bare-proxy')),
      to_portkey: portkey === null ? null : ratio(rps('bulkhead'), rps('portkey')),
    });
  } finally {
    await bulkhead.dispose();
    for (const child of children.reverse()) await child.stop();
  }
}

const ratio = (a: number, b: number) => Math.round((a / b) * 100) / 100;
const print = (claim: object) => console.log(JSON.stringify(claim));

if (import.meta.main) await run(process.argv.slice(2));
