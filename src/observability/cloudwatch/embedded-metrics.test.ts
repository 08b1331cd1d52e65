import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import type { TenantMetrics } from '#app/schemas/tenant-metrics.ts';
import { loadSettings } from '#app/settings/load-settings.ts';
import { createLogMetrics } from '#observability/metrics.ts';
import { openObservability } from '#observability/observability.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');

/** The document structure of the specification, with its limits. */
const nameSchema = z.string().min(1).max(1_024);
const directiveSchema = z.strictObject({
  Namespace: nameSchema,
  Dimensions: z.array(z.array(z.string().min(1).max(250)).max(30)).min(1),
  Metrics: z
    .array(z.strictObject({ Name: nameSchema, Unit: z.enum(['Milliseconds', 'Seconds', 'Count', 'None']) }))
    .max(100),
});
const documentSchema = z.looseObject({
  _aws: z.strictObject({ Timestamp: z.int().nonnegative(), CloudWatchMetrics: z.array(directiveSchema) }),
});

/** Every metric that CloudWatch makes of a line: `RequestCount{route=rag}` → value. */
function metricsIn(line: string): Record<string, number> {
  const document = documentSchema.parse(JSON.parse(line));
  const made: Record<string, number> = {};
  for (const { Dimensions, Metrics } of document._aws.CloudWatchMetrics) {
    for (const set of Dimensions) {
      const by = set.map((name) => `${name}=${z.string().min(1).parse(document[name])}`).join(',');
      for (const { Name } of Metrics) made[`${Name}{${by}}`] = z.number().parse(document[Name]);
    }
  }
  return made;
}

const request = (fields: Partial<TenantMetrics> = {}): TenantMetrics => ({
  timestamp: new Date(NOW).toISOString(),
  request_id: 'req_1',
  tenant_id: tenantIdSchema.parse('acme'),
  user_id: 'alice',
  route: 'rag',
  model: null,
  status: 200,
  latency_ms: 12.345,
  token_usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  estimated_prompt_tokens: 0,
  cost_usd_estimate: 0.002,
  refusal_reason: null,
  time_to_first_token_ms: null,
  time_per_output_token_ms: null,
  chunk_ids: ['chunk_1'],
  citations: [],
  ...fields,
});

async function open(tenants: '*' | readonly string[] = [], level: 'info' | 'error' = 'info') {
  const lines: string[] = [];
  const observability = await openObservability(
    {
      ...loadSettings({}),
      HOST: '127.0.0.1',
      METRICS_PORT: undefined,
      AWS_REGION: undefined,
      CLOUDWATCH_METRICS: 'emf',
      CLOUDWATCH_NAMESPACE: 'multi-tenant-chatbot',
      METRICS_TENANTS: tenants === '*' ? '*' : tenants.map((id) => tenantIdSchema.parse(id)),
      CLOUDWATCH_LOG_GROUP: undefined,
      CLOUDWATCH_LOG_RETENTION_DAYS: 90,
      LOG_LEVEL: level,
    },
    { process: 'router', fallback: { write: (line) => void lines.push(line) }, now: () => NOW },
  );
  const logger = observability.loggerOf('router');
  const { metrics: exporter } = observability;
  return { lines, logger, metrics: createLogMetrics({ logger, ...(exporter && { exporter }) }) };
}

describe('the embedded metric format', () => {
  test('makes the five metrics of a request by route', async () => {
    const { lines, metrics } = await open();
    metrics.record(request());
    expect(metricsIn(lines[0] ?? '')).toEqual({
      'RequestLatency{route=rag}': 12.345,
      'RequestCount{route=rag}': 1,
      'TokenUsage{route=rag}': 15,
      'CostEstimate{route=rag}': 0.002,
    });
    const line = JSON.parse(lines[0] ?? '');
    expect(line._aws.Timestamp).toBe(NOW);
    expect(line._aws.CloudWatchMetrics[0].Namespace).toBe('multi-tenant-chatbot');
    // The line is as it is without metrics, beside them.
    expect(line).toMatchObject({
      event: 'request',
      tenant_id: 'acme',
      latency_ms: 12.345,
      chunk_ids: ['chunk_1'],
    });
  });

  test('adds how long users wait, by route and by model', async () => {
    const { lines, metrics } = await open();
    metrics.record(request({ model: 'm', time_to_first_token_ms: 90, time_per_output_token_ms: 12 }));
    metrics.record(request({ model: 'm', time_to_first_token_ms: 90 }));
    const [both = {}, first = {}] = lines.map(metricsIn);
    expect(both).toMatchObject({
      'TimeToFirstToken{route=rag}': 90,
      'TimeToFirstToken{route=rag,model=m}': 90,
      'TimePerOutputToken{route=rag,model=m}': 12,
    });
    expect(first['TimeToFirstToken{route=rag,model=m}']).toBe(90);
    expect(Object.keys(first).filter((name) => name.startsWith('TimePerOutputToken'))).toEqual([]);
  });

  test('counts refusals by route and by reason', async () => {
    const { lines, metrics } = await open();
    metrics.record(request({ status: 403, refusal_reason: 'guardrail_refused' }));
    expect(metricsIn(lines[0] ?? '')).toMatchObject({
      'RequestCount{route=rag}': 1,
      'RefusalCount{route=rag}': 1,
      'RefusalCount{route=rag,refusal_reason=guardrail_refused}': 1,
    });
  });

  test('has metrics of a tenant’s own for those that are named, and for no other', async () => {
    const { lines, metrics } = await open(['acme']);
    metrics.record(request({ refusal_reason: 'rate_limit_exceeded' }));
    metrics.record(
      request({ tenant_id: tenantIdSchema.parse('globex'), refusal_reason: 'rate_limit_exceeded' }),
    );
    const [acme = {}, globex = {}] = lines.map(metricsIn);
    expect(acme['RequestCount{tenant_id=acme,route=rag}']).toBe(1);
    expect(acme['RefusalCount{tenant_id=acme,route=rag,refusal_reason=rate_limit_exceeded}']).toBe(1);
    expect(Object.keys(globex).filter((name) => name.includes('tenant_id'))).toEqual([]);
    expect(globex['RequestCount{route=rag}']).toBe(1);
  });

  test('or for all', async () => {
    const { lines, metrics } = await open('*');
    metrics.record(request({ tenant_id: tenantIdSchema.parse('globex') }));
    expect(metricsIn(lines[0] ?? '')['TokenUsage{tenant_id=globex,route=rag}']).toBe(15);
  });

  test('makes a metric of every line that carries a figure, whatever logger it came by', async () => {
    const { lines, logger } = await open();
    logger
      .child({ tenant_id: 'acme' })
      .error({ event: 'isolation_alarm', metric: 'IsolationAlarmCount', value: 1 }, 'a search returned more');
    logger.warn({ event: 'redis_outage', metric: 'RedisOutageSeconds', value: 1.5 }, 'Redis does not answer');
    logger.warn({ metric: 'DependencyUp', value: 0, dependency: 'rag' }, 'the RAG service does not answer');
    logger.info({ event: 'process' }, 'no figure');
    expect(lines.slice(0, 3).map(metricsIn)).toEqual([
      { 'IsolationAlarmCount{service=router}': 1 },
      { 'RedisOutageSeconds{service=router}': 1.5 },
      { 'DependencyUp{service=router,dependency=rag}': 0 },
    ]);
    expect(JSON.parse(lines[1] ?? '')._aws.CloudWatchMetrics[0].Metrics[0].Unit).toBe('Seconds');
    expect(lines[3]).not.toContain('_aws');
  });
});
