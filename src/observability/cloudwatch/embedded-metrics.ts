import type { TenantMetrics } from '#app/schemas/tenant-metrics.ts';
import type { LogFields } from '#observability/logger.ts';
import type { MetricsExporter } from '#observability/metrics.ts';
import {
  ANONYMOUS_DIMENSIONS,
  ANONYMOUS_METRIC,
  ANSWER_METRICS,
  type Dimensions,
  dimensionsOf,
  figureDimensions,
  type MetricDefinition,
  REFUSAL_METRIC,
  REQUEST_METRICS,
  unitOfFigure,
} from '#observability/request-figures.ts';
import { createTenantDimensions } from '#observability/tenant-dimensions.ts';

/**
 * The embedded metric format: a log line says of itself, in `_aws`, which of its members are metrics and by which of
 * its members they are counted. CloudWatch makes metrics of it wherever the line reaches CloudWatch Logs.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export function createEmbeddedMetrics(options: {
  namespace: string;
  tenants: '*' | readonly string[];
  maxTenants: number;
  /** Milliseconds since 1970. */
  now: () => number;
}): MetricsExporter {
  const { namespace, tenants, maxTenants, now } = options;
  const own = createTenantDimensions({ tenants, max: maxTenants, now });
  const directiveOf = (sets: Dimensions, metrics: readonly MetricDefinition[]) => ({
    Namespace: namespace,
    Dimensions: sets,
    Metrics: metrics.map(({ name, unit }) => ({ Name: name, Unit: unit })),
  });
  const requests = remembered((sets) => directiveOf(sets, REQUEST_METRICS));
  const refusals = remembered((sets) => directiveOf(sets, [REFUSAL_METRIC]));

  return {
    request(metrics: TenantMetrics): LogFields {
      const { tenant_id, refusal_reason } = metrics;
      const dimensions = dimensionsOf(own.hasOwn(tenant_id));
      const directives = [requests(dimensions.request)];
      if (refusal_reason !== null) directives.push(refusals(dimensions.refusal));
      const figures: Record<string, number> = {};
      const answered = ANSWER_METRICS.filter(({ name, of }) => {
        const value = of(metrics);
        if (value !== null) figures[name] = value;
        return value !== null;
      });
      if (answered.length > 0 && metrics.model !== null)
        directives.push(directiveOf(dimensions.answer, answered));
      for (const { name, of } of REQUEST_METRICS) figures[name] = of(metrics);
      if (refusal_reason !== null) figures[REFUSAL_METRIC.name] = 1;
      return { _aws: { Timestamp: now(), CloudWatchMetrics: directives }, ...figures };
    },
    anonymous(): LogFields {
      const directive = directiveOf(ANONYMOUS_DIMENSIONS, [ANONYMOUS_METRIC]);
      return { _aws: { Timestamp: now(), CloudWatchMetrics: [directive] }, [ANONYMOUS_METRIC.name]: 1 };
    },
    figure(_service, name, value, dependency): LogFields {
      const directive = directiveOf(figureDimensions(dependency), [{ name, unit: unitOfFigure(name) }]);
      return { _aws: { Timestamp: now(), CloudWatchMetrics: [directive] }, [name]: value };
    },
    close: async () => {},
  };
}

/** Sets of dimensions are few and constant: one directive each. */
function remembered<Directive>(make: (sets: Dimensions) => Directive): (sets: Dimensions) => Directive {
  const made = new Map<Dimensions, Directive>();
  return (sets) => {
    const known = made.get(sets) ?? make(sets);
    made.set(sets, known);
    return known;
  };
}
