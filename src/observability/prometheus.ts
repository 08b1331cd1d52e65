import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { FairSemaphoreStats } from '#app/fair/fair-semaphore.ts';
import type { MetricsExporter } from '#observability/metrics.ts';
import { createTenantDimensions } from '#observability/tenant-dimensions.ts';

/** Upper ends, seconds: refusals take milliseconds, answers of long prompts minutes. */
const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** `tenant_id` of tenants without series of their own. */
const OTHER = '';
/** Upper ends, seconds: a warm prefix takes tens of milliseconds, a full queue a minute. */
const FIRST_TOKEN_BUCKETS = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60, 120];
const PER_TOKEN_BUCKETS = [0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2];
/** Models that have series of their own, at most. */
const MAX_MODELS = 50;

/** Other figures of log lines. Names of what nobody thought of here are not made up. */
const FIGURES: Readonly<Record<string, { name: string; help: string }>> = {
  IsolationAlarmCount: {
    name: 'bulkhead_isolation_alarms_total',
    help: 'Times that a layer of isolation let something through that the next one caught.',
  },
  InternalCallFaultCount: {
    name: 'bulkhead_internal_call_faults_total',
    help: 'Calls between services that were refused although the client did nothing wrong: clocks, signing keys, versions.',
  },
  SecretRefreshFailureCount: {
    name: 'bulkhead_secret_refresh_failures_total',
    help: 'Looks at Secrets Manager that failed, or found a version that is not valid.',
  },
  LostSpanCount: {
    name: 'bulkhead_lost_spans_total',
    help: 'Spans of traces that no collector took.',
  },
  RedisOutageSeconds: {
    name: 'bulkhead_redis_outage_seconds_total',
    help: 'Time in which limits or budgets were decided without Redis.',
  },
};

/**
 * The figures of requests as Prometheus reads them, and those of the process itself. `tenant_id` is empty for tenants
 * that have no metrics of their own, so that a sum over it is right.
 */
export function createPrometheusMetrics(options: {
  tenants: '*' | readonly string[];
  maxTenants: number;
}): MetricsExporter & {
  /** The text format, and its content type. */
  read(): Promise<{ text: string; contentType: string }>;
} {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const labelNames = ['route', 'tenant_id'] as const;
  const latency = new Histogram({
    name: 'bulkhead_request_duration_seconds',
    help: 'From the first byte of a request that was read to the last of its answer that was written.',
    labelNames,
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const requests = new Counter({
    name: 'bulkhead_requests_total',
    help: 'Requests of tenants.',
    labelNames: [...labelNames, 'status'],
    registers,
  });
  const tokens = new Counter({
    name: 'bulkhead_tokens_total',
    help: 'Tokens that the engine read (prompt) and wrote (completion).',
    labelNames: [...labelNames, 'kind'],
    registers,
  });
  const cost = new Counter({
    name: 'bulkhead_cost_usd_total',
    help: 'What requests cost by the price table, US dollars.',
    labelNames,
    registers,
  });
  const refusals = new Counter({
    name: 'bulkhead_refusals_total',
    help: 'Refused requests, by the code of the refusal.',
    labelNames: [...labelNames, 'refusal_reason'],
    registers,
  });
  const figures = new Map(
    Object.entries(FIGURES).map(([metric, { name, help }]) => [
      metric,
      new Counter({ name, help, labelNames: ['service'], registers }),
    ]),
  );
  const dependencyUp = new Gauge({
    name: 'bulkhead_dependency_up',
    help: '1 while what the service needs and shares with its replicas answers, 0 while it does not.',
    labelNames: ['service', 'dependency'],
    registers,
  });
  const shared = new Map<string, () => FairSemaphoreStats>();
  new Gauge({
    name: 'bulkhead_shared_places',
    help: 'Places of resources that tenants share: how many there are (capacity), are held, and how many calls wait for one.',
    labelNames: ['resource', 'state'],
    registers,
    collect() {
      for (const [resource, read] of shared) {
        const { capacity, held, waiting } = read();
        for (const [state, value] of Object.entries({ capacity, held, waiting }))
          this.set({ resource, state }, value);
      }
    },
  });
  new Counter({
    name: 'bulkhead_shared_places_refused_total',
    help: 'Calls that got no place, because their tenant held its share or all were in use.',
    labelNames: ['resource'],
    registers,
    collect() {
      this.reset();
      for (const [resource, read] of shared) this.inc({ resource }, read().refused);
    },
  });
  const answerLabels = ['route', 'model'] as const;
  const firstToken = new Histogram({
    name: 'bulkhead_time_to_first_token_seconds',
    help: 'From asking the engine to its first piece of text.',
    labelNames: answerLabels,
    buckets: FIRST_TOKEN_BUCKETS,
    registers,
  });
  const perToken = new Histogram({
    name: 'bulkhead_time_per_output_token_seconds',
    help: 'Time of an answer after its first token, divided by the tokens after it.',
    labelNames: answerLabels,
    buckets: PER_TOKEN_BUCKETS,
    registers,
  });
  const anonymous = new Counter({
    name: 'bulkhead_anonymous_requests_total',
    help: 'Requests of no tenant: without a valid credential, or to no such route.',
    labelNames: ['status'],
    registers,
  });
  new Gauge({
    name: 'bulkhead_metrics_tenants',
    help: 'Tenants with series of their own.',
    registers,
    collect() {
      this.set(own.size);
    },
  });
  const perTenant = [latency, requests, tokens, cost, refusals];
  /** A tenant that has lost its place takes its series with it: their number must not grow with time. */
  async function removeSeries(tenantId: string): Promise<void> {
    for (const metric of perTenant) {
      for (const { labels } of (await metric.get()).values) {
        const { le: _bucket, ...rest } = { le: undefined, ...labels };
        if (labels.tenant_id === tenantId) metric.remove(rest);
      }
    }
  }
  const own = createTenantDimensions({
    tenants: options.tenants,
    max: options.maxTenants,
    now: () => performance.now(),
    onRemoved: (tenantId) => void removeSeries(tenantId),
  });
  const models = new Set<string>();
  const modelLabel = (model: string): string => {
    if (models.size < MAX_MODELS) models.add(model);
    return models.has(model) ? model : 'other';
  };

  return {
    request(metrics) {
      const { tenant_id, route, model, status, latency_ms, token_usage, cost_usd_estimate, refusal_reason } =
        metrics;
      const labels = { route, tenant_id: own.hasOwn(tenant_id) ? tenant_id : OTHER };
      latency.observe(labels, latency_ms / 1_000);
      requests.inc({ ...labels, status: String(status) });
      tokens.inc({ ...labels, kind: 'prompt' }, token_usage.prompt_tokens);
      tokens.inc({ ...labels, kind: 'completion' }, token_usage.completion_tokens);
      cost.inc(labels, cost_usd_estimate);
      if (refusal_reason !== null) refusals.inc({ ...labels, refusal_reason });
      const { time_to_first_token_ms: first, time_per_output_token_ms: each } = metrics;
      if (model === null) return undefined;
      if (first !== null) firstToken.observe({ route, model: modelLabel(model) }, first / 1_000);
      if (each !== null) perToken.observe({ route, model: modelLabel(model) }, each / 1_000);
      return undefined;
    },
    anonymous(status) {
      anonymous.inc({ status: String(status) });
      return undefined;
    },
    figure(service, name, value, dependency) {
      if (name === 'DependencyUp' && dependency !== undefined)
        dependencyUp.set({ service, dependency }, value);
      else if (value >= 0) figures.get(name)?.inc({ service }, value);
      return undefined;
    },
    watch: (resource, read) => void shared.set(resource, read),
    async read() {
      return { text: await registry.metrics(), contentType: registry.contentType };
    },
    close: async () => {},
  };
}
