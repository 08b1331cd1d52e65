import type { TenantMetrics } from '#app/schemas/tenant-metrics.ts';

/** Units as CloudWatch names them. */
export type MetricUnit = 'Milliseconds' | 'Count' | 'Seconds' | 'None';

/** Fields of the log line by which a metric is told apart; each list makes a metric of its own. */
export type Dimensions = readonly (readonly string[])[];

export type MetricDefinition = Readonly<{ name: string; unit: MetricUnit }>;

/** Every request of a tenant has these. */
export const REQUEST_METRICS = [
  { name: 'RequestLatency', unit: 'Milliseconds', of: ({ latency_ms }) => latency_ms },
  { name: 'RequestCount', unit: 'Count', of: () => 1 },
  { name: 'TokenUsage', unit: 'Count', of: ({ token_usage }) => token_usage.total_tokens },
  { name: 'CostEstimate', unit: 'None', of: ({ cost_usd_estimate }) => cost_usd_estimate },
] as const satisfies readonly (MetricDefinition & { of: (metrics: TenantMetrics) => number })[];

/** One that an engine answered has these, by route and model: what chat users feel. */
export const ANSWER_METRICS = [
  {
    name: 'TimeToFirstToken',
    unit: 'Milliseconds',
    of: ({ time_to_first_token_ms }) => time_to_first_token_ms,
  },
  {
    name: 'TimePerOutputToken',
    unit: 'Milliseconds',
    of: ({ time_per_output_token_ms }) => time_per_output_token_ms,
  },
] as const satisfies readonly (MetricDefinition & { of: (metrics: TenantMetrics) => number | null })[];

/** Requests of no tenant (no valid credential, no such route) have this, by status. */
export const ANONYMOUS_METRIC = {
  name: 'AnonymousRequestCount',
  unit: 'Count',
} as const satisfies MetricDefinition;
export const ANONYMOUS_DIMENSIONS: Dimensions = [['status']];

/** And a refused one this. */
export const REFUSAL_METRIC = { name: 'RefusalCount', unit: 'Count' } as const satisfies MetricDefinition;

/**
 * What a request is counted by. A metric is billed for each combination, so few tenants have metrics of their own. Routes,
 * models and reasons are names of the deployment's, and few.
 */
export const dimensionsOf = (hasOwn: boolean) => ({
  request: hasOwn ? BY_TENANT : BY_ROUTE,
  answer: BY_MODEL,
  refusal: hasOwn ? REFUSALS_BY_TENANT : REFUSALS_BY_ROUTE,
});

const BY_ROUTE: Dimensions = [['route']];
const BY_MODEL: Dimensions = [['route'], ['route', 'model']];
const BY_TENANT: Dimensions = [['route'], ['tenant_id', 'route']];
const REFUSALS_BY_ROUTE: Dimensions = [['route'], ['route', 'refusal_reason']];
const REFUSALS_BY_TENANT: Dimensions = [...REFUSALS_BY_ROUTE, ['tenant_id', 'route', 'refusal_reason']];

/** Figures that other lines of the log carry as `metric` and `value`, by the service that wrote them. */
export const figureDimensions = (dependency: string | undefined): Dimensions =>
  dependency === undefined ? BY_SERVICE : BY_DEPENDENCY;

const BY_SERVICE: Dimensions = [['service']];
const BY_DEPENDENCY: Dimensions = [['service', 'dependency']];

/** The unit is the end of the name. */
export function unitOfFigure(name: string): MetricUnit {
  if (name.endsWith('Seconds')) return 'Seconds';
  return name.endsWith('Up') ? 'None' : 'Count';
}
