import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { FairSemaphoreStats } from '#app/fair/fair-semaphore.ts';
import type { MetricsExporter } from '#observability/metrics.ts';

/** Upper ends, seconds: refusals take milliseconds, answers of long prompts minutes. */
const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

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
  RedisOutageSeconds: {
    name: 'bulkhead_redis_outage_seconds_total',
    help: 'Time in which limits or budgets were decided without Redis.',
  },
};

/**
 * The figures of requests as Prometheus reads them, and those of the process itself. `tenant_id` is empty for tenants
 * that have no metrics of their own, so that a sum over it is right.
 */
export function createPrometheusMetrics(options: { tenants: '*' | readonly string[] }): MetricsExporter & {
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
  const own = new Set(options.tenants === '*' ? [] : options.tenants);

  return {
    request({ tenant_id, route, status, latency_ms, token_usage, cost_usd_estimate, refusal_reason }) {
      const labels = { route, tenant_id: options.tenants === '*' || own.has(tenant_id) ? tenant_id : '' };
      latency.observe(labels, latency_ms / 1_000);
      requests.inc({ ...labels, status: String(status) });
      tokens.inc({ ...labels, kind: 'prompt' }, token_usage.prompt_tokens);
      tokens.inc({ ...labels, kind: 'completion' }, token_usage.completion_tokens);
      cost.inc(labels, cost_usd_estimate);
      if (refusal_reason !== null) refusals.inc({ ...labels, refusal_reason });
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
