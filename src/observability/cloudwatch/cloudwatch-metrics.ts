import { type CloudWatchClient, type MetricDatum, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { callsOf, MetricSums } from '#observability/cloudwatch/metric-sums.ts';
import type { Logger } from '#observability/logger.ts';
import type { MetricsExporter } from '#observability/metrics.ts';
import {
  ANONYMOUS_METRIC,
  ANSWER_METRICS,
  dimensionsOf,
  REFUSAL_METRIC,
  REQUEST_METRICS,
  unitOfFigure,
} from '#observability/request-figures.ts';
import { createTenantDimensions } from '#observability/tenant-dimensions.ts';

/** CloudWatch keeps metrics by the minute. */
const SEND_EVERY_MS = 60_000;
/** So many calls wait for a CloudWatch that is unavailable: hours of a small platform's, minutes of a large one's. */
const MAX_WAITING_CALLS = 60;
/** Longest that a closing process waits for its last minute, milliseconds. */
const CLOSE_MS = 5_000;

/**
 * Sends the figures of requests with `PutMetricData`, summed up by the minute. While CloudWatch is unavailable they
 * wait, and the oldest are given up first: each request's line in the log has them all the same.
 */
export function createCloudWatchMetrics(options: {
  client: CloudWatchClient;
  namespace: string;
  tenants: '*' | readonly string[];
  maxTenants: number;
  /** For what goes wrong; not through the exporter itself. */
  logger: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
  sendEveryMs?: number;
  closeMs?: number;
}): MetricsExporter & { flush(): Promise<void> } {
  const { client, namespace, logger, now } = options;
  const own = createTenantDimensions({ tenants: options.tenants, max: options.maxTenants, now });
  const sums = new MetricSums();
  const closing = new AbortController();
  let waiting: MetricDatum[][] = [];
  let sending: Promise<void> | null = null;
  let isOut = false;

  async function sendAll(): Promise<void> {
    const { data, dropped } = sums.take(new Date(now()));
    waiting.push(...callsOf(data));
    const surplus = waiting.length - MAX_WAITING_CALLS;
    const givenUp = surplus > 0 ? waiting.splice(0, surplus).flat().length : 0;
    if (dropped + givenUp > 0) {
      logger.warn(
        { event: 'cloudwatch_metrics_dropped', values: dropped, metrics: givenUp },
        'metrics were not sent to CloudWatch; the request lines of the log have their values',
      );
    }
    while (waiting.length > 0) {
      const [call = []] = waiting;
      try {
        await client.send(new PutMetricDataCommand({ Namespace: namespace, MetricData: call }), {
          abortSignal: closing.signal,
        });
      } catch (error) {
        if (isRefused(error)) {
          // What CloudWatch has refused it would refuse again.
          waiting.shift();
          logger.error(
            { event: 'cloudwatch_metrics_refused', metrics: call.length, err: error },
            'CloudWatch refused metrics',
          );
          continue;
        }
        if (!isOut) {
          logger.warn(
            { event: 'cloudwatch_unavailable', what: 'metrics', err: error },
            'metrics wait: CloudWatch does not take them',
          );
        }
        isOut = true;
        return;
      }
      waiting = waiting.filter((other) => other !== call);
      if (isOut) {
        logger.info({ event: 'cloudwatch_available', what: 'metrics' }, 'CloudWatch takes metrics again');
      }
      isOut = false;
    }
  }

  function flush(): Promise<void> {
    sending ??= sendAll().finally(() => {
      sending = null;
    });
    return sending;
  }

  const timer = setInterval(() => void flush(), options.sendEveryMs ?? SEND_EVERY_MS);
  timer.unref();

  return {
    request(metrics) {
      const { tenant_id, route, refusal_reason } = metrics;
      const fields: Readonly<Record<string, string>> = {
        tenant_id,
        route,
        ...(metrics.model === null ? {} : { model: metrics.model }),
        ...(refusal_reason === null ? {} : { refusal_reason }),
      };
      const valuesOf = (set: readonly string[]) =>
        set.map((field) => [field, dimensionValue(fields[field])] as const);
      const dimensions = dimensionsOf(own.hasOwn(tenant_id));
      for (const set of dimensions.request) {
        const values = valuesOf(set);
        for (const { name, unit, of } of REQUEST_METRICS) sums.add(name, unit, values, of(metrics));
      }
      for (const set of metrics.model === null ? [] : dimensions.answer) {
        for (const { name, unit, of } of ANSWER_METRICS) {
          const value = of(metrics);
          if (value !== null) sums.add(name, unit, valuesOf(set), value);
        }
      }
      if (refusal_reason === null) return undefined;
      for (const set of dimensions.refusal) {
        sums.add(REFUSAL_METRIC.name, REFUSAL_METRIC.unit, valuesOf(set), 1);
      }
      return undefined;
    },
    anonymous(status) {
      sums.add(ANONYMOUS_METRIC.name, ANONYMOUS_METRIC.unit, [['status', String(status)]], 1);
      return undefined;
    },
    figure(service, name, value, dependency) {
      const of = dependency === undefined ? [] : [['dependency', dependency] as const];
      sums.add(name, unitOfFigure(name), [['service', service], ...of], value);
      return undefined;
    },
    flush,
    async close() {
      clearInterval(timer);
      const late = setTimeout(() => closing.abort(), options.closeMs ?? CLOSE_MS);
      // One that is under way took what there was when it began.
      await flush();
      await flush();
      clearTimeout(late);
    },
  };
}

/** 1 to 255 characters of ASCII, and not empty: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html */
const dimensionValue = (value: string | undefined) =>
  (value ?? '')
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 255)
    .trim() || 'none';

/** Errors that the same call would meet again. */
const REFUSALS: ReadonlySet<string> = new Set([
  'InvalidParameterValueException',
  'InvalidParameterCombinationException',
  'MissingRequiredParameterException',
  'ValidationError',
  'ValidationException',
]);
const isRefused = (error: unknown) => error instanceof Error && REFUSALS.has(error.name);
