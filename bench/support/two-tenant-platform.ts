import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { createPostgresDatabase } from '#test/support/create-postgres-database.ts';
import { sayVerdict, startJudgeServer } from '#test/support/judge-server.ts';
import { type Platform, startBulkhead } from '#test/support/start-bulkhead.ts';
import { startPostgres } from '#test/support/start-postgres.ts';
import { startRedis } from '#test/support/start-redis.ts';
import { startThreeServices } from '#test/support/start-three-services.ts';
import { createKey, createTenant } from '#test/support/tenants.ts';
import { MODEL, startPacedEngine } from './paced-engine.ts';

/** One tenant as its client sees it. Every call has a connection for itself, kept for the next. */
export type BenchTenant = Readonly<{
  id: string;
  /** Resolves with status and body, read to its end; never throws for a status. */
  call(
    endpoint: string,
    options?: {
      json?: unknown;
      form?: FormData;
      key?: string;
      asAdmin?: boolean;
      signal?: AbortSignal | undefined;
    },
  ): Promise<{ status: number; text: string }>;
}>;

export type TwoTenantPlatform = Readonly<{
  /** `judged` is quiet or floods as its name says, and has an external judge on what it sends. */
  quiet: BenchTenant;
  flooding: BenchTenant;
  quietJudged: BenchTenant;
  floodingJudged: BenchTenant;
  close(): Promise<void>;
}>;

const UNLIMITED = {
  requests_per_minute: null,
  requests_per_hour: null,
  tokens_per_minute: null,
  concurrent_requests: null,
};
const JUDGE_MS = 50;
const CALL_TIMEOUT_MS = 60_000;
/** An answer of the engine takes half a second. */
const ENGINE = { pieces: 20, intervalMs: 25 };

/** A platform with two tenants, without rate limits, and two more with a judge, on an engine and a judge at a pace. */
export async function openTwoTenantPlatform({ services }: { services: boolean }): Promise<TwoTenantPlatform> {
  const opened = new AsyncDisposableStack();
  try {
    const engine = await startPacedEngine(ENGINE);
    opened.defer(() => engine.close());
    const judge = await startJudgeServer({
      answer: async (_text, response) => {
        await pause(JUDGE_MS);
        sayVerdict(response, 'safe');
      },
    });
    opened.defer(() => judge.close());
    const setting = { kind: 'llama_guard', name: 'guard', base_url: judge.baseUrl, model: 'guard' };
    const env = {
      INFERENCE_BASE_URL: `${engine.origin}/v1`,
      INFERENCE_MODEL: MODEL,
      GUARDRAIL_JUDGES: JSON.stringify([setting]),
    };
    const platform = services ? await startServices(env, opened) : await startEmbedded(env, opened);
    const guardrails = { judges: [{ judge: 'guard', applies_to: 'input' }] };
    return {
      quiet: await addTenant(platform, 'quiet', {}, opened),
      flooding: await addTenant(platform, 'flooding', {}, opened),
      quietJudged: await addTenant(platform, 'quiet-judged', { guardrails }, opened),
      floodingJudged: await addTenant(platform, 'flooding-judged', { guardrails }, opened),
      close: () => opened.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function startEmbedded(
  env: Readonly<Record<string, string>>,
  opened: AsyncDisposableStack,
): Promise<Platform> {
  const bulkhead = await startBulkhead({ env: { ...env, LOG_LEVEL: 'warn' } });
  opened.defer(() => bulkhead.dispose());
  return bulkhead;
}

async function startServices(
  env: Readonly<Record<string, string>>,
  opened: AsyncDisposableStack,
): Promise<Platform> {
  const postgres = await startPostgres();
  opened.defer(async () => void (await postgres.stop()));
  const redis = await startRedis();
  opened.defer(async () => void (await redis.stop()));
  const database = await createPostgresDatabase(postgres.env.TEST_POSTGRES_URL);
  const services = await startThreeServices({
    databaseUrl: database.url,
    env: { ...redis.env, ...env, REDIS_TIMEOUT_MS: '1000' },
  });
  opened.defer(() => services.dispose());
  return services;
}

async function addTenant(
  platform: Platform,
  id: string,
  config: Readonly<Record<string, unknown>>,
  opened: AsyncDisposableStack,
): Promise<BenchTenant> {
  await createTenant(platform, { tenant_id: id, display_name: id, rate_limits: UNLIMITED, ...config });
  const own = await createKey(platform, id, { user_id: 'user', role: 'service' });
  const admin = await createKey(platform, id, { user_id: 'admin', role: 'admin' });
  const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });
  opened.defer(async () => agent.destroy());
  return {
    id,
    async call(endpoint, { json, form, key, asAdmin = false, signal } = {}) {
      const [method, path] = endpoint.split(' ');
      const encoded = form === undefined ? undefined : new Response(form);
      const body =
        encoded === undefined
          ? json === undefined
            ? undefined
            : Buffer.from(JSON.stringify(json))
          : Buffer.from(await encoded.arrayBuffer());
      const type = encoded?.headers.get('content-type') ?? 'application/json';
      return new Promise((resolve, reject) => {
        const call = request(`${platform.url}${path}`, {
          method,
          agent,
          signal: AbortSignal.any([AbortSignal.timeout(CALL_TIMEOUT_MS), ...(signal ? [signal] : [])]),
          headers: {
            authorization: `Bearer ${key ?? (asAdmin ? admin : own)}`,
            ...(body === undefined ? {} : { 'content-type': type, 'content-length': body.length }),
          },
        });
        call.once('response', (response) => {
          let text = '';
          response.setEncoding('latin1');
          response.on('data', (chunk: string) => {
            text = response.headers['content-type'] === 'application/gzip' ? '' : text + chunk;
          });
          response.once('error', reject);
          response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        });
        call.once('error', reject);
        call.end(body);
      });
    },
  };
}
