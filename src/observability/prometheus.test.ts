import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import { tenantIdSchema } from '#app/ids.ts';
import type { TenantMetrics } from '#app/schemas/tenant-metrics.ts';
import { loadSettings, SettingsError } from '#app/settings/load-settings.ts';
import { createLogMetrics } from '#observability/metrics.ts';
import { serveMetrics } from '#observability/metrics-server.ts';
import { openObservability } from '#observability/observability.ts';
import { watchPlaces } from '#observability/watch-places.ts';

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

const request = (tenantId: string, fields: Partial<TenantMetrics> = {}): TenantMetrics => ({
  timestamp: new Date().toISOString(),
  request_id: 'req_1',
  tenant_id: tenantIdSchema.parse(tenantId),
  user_id: 'alice',
  route: 'rag',
  model: null,
  status: 200,
  latency_ms: 80,
  token_usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  estimated_prompt_tokens: 0,
  cost_usd_estimate: 0.5,
  refusal_reason: null,
  time_to_first_token_ms: null,
  time_per_output_token_ms: null,
  chunk_ids: [],
  citations: [],
  ...fields,
});

async function open(environment: Readonly<Record<string, string>>) {
  const lines: string[] = [];
  const settings = loadSettings({ METRICS_PORT: '0', ...environment });
  const fallback = { write: (line: string) => void lines.push(line) };
  const observability = await openObservability(settings, { process: 'router', fallback });
  opened.push(() => observability.close());
  const url: string = JSON.parse(lines[0] ?? '').url;
  const logger = observability.loggerOf('router');
  const { metrics: exporter } = observability;
  return {
    url,
    logger,
    lines,
    exporter,
    metrics: createLogMetrics({ logger, ...(exporter && { exporter }) }),
    /** Samples by name and labels: `bulkhead_tokens_total{route="rag",…}` → value. */
    async samples(): Promise<Record<string, number>> {
      const text = await (await fetch(url)).text();
      const found = [...text.matchAll(/^([a-z_0-9]+(?:\{[^}]*\})?) ([-+.\w]+)$/gm)];
      return Object.fromEntries(found.map(([, name = '', value]) => [name, Number(value)]));
    },
  };
}

describe('metrics for Prometheus', () => {
  test('are those of requests, by route', async () => {
    const { metrics, samples } = await open({});
    metrics.record(request('acme'));
    metrics.record(request('globex'));
    metrics.record(request('globex', { status: 429, refusal_reason: 'rate_limit_exceeded', latency_ms: 2 }));
    expect(await samples()).toMatchObject({
      'bulkhead_requests_total{route="rag",tenant_id="",status="200"}': 2,
      'bulkhead_requests_total{route="rag",tenant_id="",status="429"}': 1,
      'bulkhead_request_duration_seconds_count{route="rag",tenant_id=""}': 3,
      'bulkhead_request_duration_seconds_bucket{le="0.005",route="rag",tenant_id=""}': 1,
      'bulkhead_request_duration_seconds_bucket{le="0.1",route="rag",tenant_id=""}': 3,
      'bulkhead_tokens_total{route="rag",tenant_id="",kind="prompt"}': 30,
      'bulkhead_tokens_total{route="rag",tenant_id="",kind="completion"}': 15,
      'bulkhead_cost_usd_total{route="rag",tenant_id=""}': 1.5,
      'bulkhead_refusals_total{route="rag",tenant_id="",refusal_reason="rate_limit_exceeded"}': 1,
    });
  });

  test('name the tenants that have metrics of their own, and no others', async () => {
    const { metrics, samples } = await open({ METRICS_TENANTS: 'acme' });
    metrics.record(request('acme'));
    metrics.record(request('globex'));
    const found = await samples();
    expect(found['bulkhead_cost_usd_total{route="rag",tenant_id="acme"}']).toBe(0.5);
    expect(found['bulkhead_cost_usd_total{route="rag",tenant_id=""}']).toBe(0.5);
    expect(JSON.stringify(found)).not.toContain('globex');
  });

  test('have the places of what tenants share, as they are when they are read', async () => {
    const { exporter, samples } = await open({});
    const places = new FairSemaphore({ resource: 'x', capacity: 5, maxWaiting: 0, maxWaitMs: 1 });
    watchPlaces(exporter, { turns: () => places.stats, nothing: () => undefined });
    const never = new AbortController().signal;
    for (let call = 0; call < 5; call++) await places.acquire('globex', never).catch(() => undefined);
    const found = await samples();
    expect(found).toMatchObject({
      'bulkhead_shared_places{resource="turns",state="capacity"}': 5,
      'bulkhead_shared_places{resource="turns",state="held"}': 4,
      'bulkhead_shared_places{resource="turns",state="waiting"}': 0,
      'bulkhead_shared_places_refused_total{resource="turns"}': 1,
    });
    expect(JSON.stringify(found)).not.toMatch(/globex|nothing/);
  });

  test('tell how long users wait, by route and model, of a bounded number of models', async () => {
    const { metrics, samples } = await open({});
    const answered = { time_to_first_token_ms: 90, time_per_output_token_ms: 12 };
    metrics.record(request('acme', { model: 'm', ...answered }));
    metrics.record(request('acme', { model: 'm', time_to_first_token_ms: 300 }));
    metrics.record(request('acme'));
    for (let i = 0; i < 100; i++) metrics.record(request('acme', { model: `m${i}`, ...answered }));
    const found = await samples();
    expect(found).toMatchObject({
      'bulkhead_time_to_first_token_seconds_count{route="rag",model="m"}': 2,
      'bulkhead_time_to_first_token_seconds_bucket{le="0.1",route="rag",model="m"}': 1,
      'bulkhead_time_per_output_token_seconds_count{route="rag",model="m"}': 1,
      'bulkhead_time_per_output_token_seconds_count{route="rag",model="other"}': 51,
    });
  });

  test('keep to the busiest tenants, and forget the series of one that is no more', async () => {
    const { metrics, samples } = await open({ METRICS_TENANTS: '*', METRICS_MAX_TENANTS: '1' });
    metrics.record(request('acme'));
    for (let i = 0; i < 3; i++) metrics.record(request('globex'));
    const found = await samples();
    expect(found.bulkhead_metrics_tenants).toBe(1);
    expect(found['bulkhead_cost_usd_total{route="rag",tenant_id="globex"}']).toBe(0.5);
    expect(found['bulkhead_cost_usd_total{route="rag",tenant_id=""}']).toBe(1);
    expect(JSON.stringify(found)).not.toContain('acme');
  });

  test('have the figures of other log lines, at whatever level lines are written', async () => {
    const { logger, samples, lines } = await open({ LOG_LEVEL: 'info' });
    logger.debug({ metric: 'IsolationAlarmCount', value: 1 }, 'not written');
    logger.error({ metric: 'IsolationAlarmCount', value: 1 }, 'written');
    logger.warn({ metric: 'RedisOutageSeconds', value: 2.5 }, 'written');
    logger.warn({ metric: 'SomethingElse', value: 1 }, 'of no metric');
    logger.warn({ metric: 'DependencyUp', value: 1, dependency: 'rag' }, 'written');
    logger.warn({ metric: 'DependencyUp', value: 0, dependency: 'rag' }, 'written');
    logger.info({ metric: 'DependencyUp', value: 1, dependency: 'database' }, 'written');
    const found = await samples();
    expect(found['bulkhead_isolation_alarms_total{service="router"}']).toBe(2);
    expect(found['bulkhead_redis_outage_seconds_total{service="router"}']).toBe(2.5);
    expect(found['bulkhead_dependency_up{service="router",dependency="rag"}']).toBe(0);
    expect(found['bulkhead_dependency_up{service="router",dependency="database"}']).toBe(1);
    expect(Object.keys(found).some((name) => name.includes('SomethingElse'))).toBe(false);
    expect(lines.some((line) => line.includes('not written'))).toBe(false);
  });

  test('are beside those in log lines for CloudWatch', async () => {
    const { metrics, samples, lines } = await open({ CLOUDWATCH_METRICS: 'emf' });
    metrics.record(request('acme'));
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ RequestCount: 1, TokenUsage: 15 });
    expect((await samples())['bulkhead_requests_total{route="rag",tenant_id="",status="200"}']).toBe(1);
  });

  test('have the process’ own', async () => {
    const { samples } = await open({});
    expect(Object.keys(await samples())).toEqual(
      expect.arrayContaining(['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds']),
    );
  });

  test('are all that the port has', async () => {
    const { url } = await open({});
    const answers = await Promise.all([
      fetch(url),
      fetch(`${url}?name=x`),
      fetch(new URL('/', url)),
      fetch(new URL('/metrics/x', url)),
      fetch(url, { method: 'POST', body: 'x' }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 404, 405]);
    expect(answers[0]?.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  });

  test('a reader that hangs does not hold a closing process up', async () => {
    const { url } = await open({});
    const { port, hostname } = new URL(url);
    const socket = connect(Number(port), hostname);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write('GET /metrics HTTP/1.1\r\n');
    await opened.pop()?.();
    await new Promise((resolve) => socket.once('close', resolve).once('error', () => {}));
  });

  test('a port that is taken is said', async () => {
    const read = async () => ({ text: '', contentType: 'text/plain' });
    const first = await serveMetrics({ host: '127.0.0.1', port: 0, read });
    opened.push(first.close);
    const port = new URL(first.url).port;
    const second = openObservability(loadSettings({ METRICS_PORT: port }), {
      process: 'router',
      fallback: { write: () => {} },
    });
    await expect(second).rejects.toThrow(SettingsError);
    await expect(second).rejects.toThrow(/METRICS_PORT.*EADDRINUSE/);
  });
});
