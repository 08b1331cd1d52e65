import { SettingsError } from '#app/settings/load-settings.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { Tracing } from '#app/trace.ts';
import type { Logger } from '#observability/logger.ts';
import { createTracing } from '#observability/tracing/tracing.ts';

export type TracingSettings = Pick<
  Settings,
  | 'AWS_REGION'
  | 'OTEL_SDK_DISABLED'
  | 'OTEL_TRACES_EXPORTER'
  | 'OTEL_EXPORTER_OTLP_ENDPOINT'
  | 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  | 'OTEL_EXPORTER_OTLP_HEADERS'
  | 'OTEL_EXPORTER_OTLP_TIMEOUT'
  | 'OTEL_EXPORTER_OTLP_AWS_SIGV4'
  | 'OTEL_RESOURCE_ATTRIBUTES'
  | 'OTEL_SERVICE_NAME'
  | 'OTEL_TRACES_SAMPLER'
  | 'OTEL_TRACES_SAMPLER_ARG'
>;

/** Spans that wait to be sent, at most; what comes on top is dropped. About 2 MB. */
const MAX_QUEUE = 4_096;
const MAX_BATCH = 512;
const BATCH_INTERVAL_MS = 2_000;
/** Longest that a stopping process waits for the last batch. */
const CLOSE_MS = 3_000;
/** The shortest time between two log lines about a collector that does not take spans. */
const REPORT_INTERVAL_MS = 60_000;

/**
 * Tracing as the standard OTEL_ settings have it; undefined where they name no endpoint, and OpenTelemetry's code is not
 * loaded then. Spans wait in a bounded queue: a collector that is gone or frozen costs requests nothing.
 */
export async function openTracing(
  settings: TracingSettings,
  options: {
    /** `router`, `orchestrator`, `rag`, or `bulkhead` for all in one. */
    process: string;
    logger: Logger;
  },
): Promise<Tracing | undefined> {
  const url = endpointOf(settings);
  if (url === undefined) return undefined;
  const { process, logger } = options;
  const [{ BatchSpanProcessor }, { resourceFromAttributes }, { createOtlpExporter }, { toReadableSpans }] =
    await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/resources'),
      import('#observability/tracing/otlp-exporter.ts'),
      import('#observability/tracing/to-readable-spans.ts'),
    ]);
  const timeoutMs = settings.OTEL_EXPORTER_OTLP_TIMEOUT;
  const processor = new BatchSpanProcessor({
    exporter: createOtlpExporter({
      url,
      headers: settings.OTEL_EXPORTER_OTLP_HEADERS,
      timeoutMs,
      ...(settings.OTEL_EXPORTER_OTLP_AWS_SIGV4 && { sign: await signer(settings) }),
      onResult: reportExports(logger),
    }),
    maxQueueSize: MAX_QUEUE,
    maxExportBatchSize: MAX_BATCH,
    scheduledDelayMillis: BATCH_INTERVAL_MS,
    exportTimeoutMillis: timeoutMs,
  });
  const resource = resourceFromAttributes({
    ...settings.OTEL_RESOURCE_ATTRIBUTES,
    'service.name': settings.OTEL_SERVICE_NAME ?? SERVICE_NAMES[process] ?? process,
  });
  const sampler = samplerOf(settings);
  logger.info({ event: 'tracing', endpoint: new URL(url).origin, ...sampler }, 'traces are sent by OTLP');
  return createTracing({
    ...sampler,
    exportTrace(trace) {
      for (const span of toReadableSpans(trace, resource)) processor.onEnd(span);
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_MS);
      });
      await Promise.race([processor.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
    },
    now: () => performance.now(),
  });
}

/** The names of the images and Kubernetes services. */
const SERVICE_NAMES: Readonly<Record<string, string>> = { router: 'request-router', rag: 'rag-service' };

function endpointOf(settings: TracingSettings): string | undefined {
  if (settings.OTEL_SDK_DISABLED || settings.OTEL_TRACES_EXPORTER === 'none') return undefined;
  const own = settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
  if (own !== undefined) return own;
  const base = settings.OTEL_EXPORTER_OTLP_ENDPOINT;
  // https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp
  return base === undefined ? undefined : `${base.replace(/\/+$/, '')}/v1/traces`;
}

async function signer({ AWS_REGION: region }: TracingSettings) {
  if (region === undefined)
    throw new SettingsError('AWS_REGION: is needed with OTEL_EXPORTER_OTLP_AWS_SIGV4');
  const { createXRaySigner } = await import('#observability/tracing/sign-for-xray.ts');
  return createXRaySigner(region);
}

/** https://opentelemetry.io/docs/languages/sdk-configuration/general/#otel_traces_sampler */
function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio }: TracingSettings) {
  const isParentBased = name.startsWith('parentbased_');
  if (name.endsWith('always_on')) return { isParentBased, ratio: 1 };
  if (name.endsWith('always_off')) return { isParentBased, ratio: 0 };
  return { isParentBased, ratio };
}

function reportExports(logger: Logger): (error: Error | null, spans: number) => void {
  let lost = 0;
  let reportedAt = Number.NEGATIVE_INFINITY;
  return (error, spans) => {
    if (error === null) {
      if (lost > 0) logger.info({ event: 'traces_sent', lost }, 'the collector takes spans again');
      lost = 0;
      return;
    }
    lost += spans;
    if (performance.now() - reportedAt < REPORT_INTERVAL_MS) return;
    reportedAt = performance.now();
    logger.warn(
      { event: 'traces_not_sent', err: error, lost, metric: 'LostSpanCount', value: spans },
      'the collector does not take spans; they are lost',
    );
  };
}
