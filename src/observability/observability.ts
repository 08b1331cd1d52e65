import type { Settings } from '#app/settings/settings.ts';
import type { Tracing } from '#app/trace.ts';
import {
  type CloudWatchSettings,
  openCloudWatchLogs,
  openCloudWatchMetrics,
} from '#observability/cloudwatch/cloudwatch.ts';
import { createLogger, type LineDestination, type Logger } from '#observability/logger.ts';
import type { MetricsExporter } from '#observability/metrics.ts';
import { openTracing, type TracingSettings } from '#observability/tracing/open-tracing.ts';

export type ObservabilitySettings = CloudWatchSettings &
  TracingSettings &
  Pick<Settings, 'HOST' | 'LOG_LEVEL' | 'METRICS_PORT'>;

/** What a process logs by and counts by. */
export type Observability = Readonly<{
  loggerOf(service: string): Logger;
  /** Absent: figures are in the log lines alone. */
  metrics?: MetricsExporter;
  /** Absent: no traces. */
  tracing?: Tracing;
  /** Sends what waits, for 5 s at most each of traces, metrics and logs; what is logged later goes to the fallback. Never throws. */
  close(): Promise<void>;
}>;

/**
 * Logs, metrics and traces as the settings have them: lines to stdout (or `fallback`) or to CloudWatch, and to the former while the
 * latter is unavailable; figures in the lines, to CloudWatch, and on a port for Prometheus. Throws where that port is taken.
 */
export async function openObservability(
  settings: ObservabilitySettings,
  options: {
    /** Names the log stream: `router`. */
    process: string;
    fallback: LineDestination;
    /** Milliseconds since 1970. */
    now?: () => number;
  },
): Promise<Observability> {
  const { process, fallback, now = Date.now } = options;
  const level = settings.LOG_LEVEL;
  const logger = createLogger({ level, service: process, destination: fallback });
  const prometheus = await openPrometheus(settings, logger);
  const logs = await openCloudWatchLogs(settings, process, { fallback, now, logger });
  const cloudWatch = await openCloudWatchMetrics(settings, { now, logger });
  const exporters = [cloudWatch, prometheus].filter((exporter) => exporter !== undefined);
  const metrics = exporters.length === 0 ? undefined : inAll(exporters);
  const tracing = await openTracing(settings, { process, logger });
  return {
    loggerOf: (service) =>
      createLogger({
        level,
        service,
        destination: logs ?? fallback,
        ...(metrics === undefined ? {} : { figure: metrics.figure }),
      }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(tracing === undefined ? {} : { tracing }),
    async close() {
      await tracing?.close();
      await metrics?.close();
      await logs?.close();
    },
  };
}

async function openPrometheus(
  {
    HOST: host,
    METRICS_PORT: port,
    METRICS_TENANTS: tenants,
    METRICS_MAX_TENANTS: maxTenants,
  }: ObservabilitySettings,
  logger: Logger,
): Promise<MetricsExporter | undefined> {
  if (port === undefined) return undefined;
  const [{ createPrometheusMetrics }, { serveMetrics }] = await Promise.all([
    import('#observability/prometheus.ts'),
    import('#observability/metrics-server.ts'),
  ]);
  const prometheus = createPrometheusMetrics({ tenants, maxTenants });
  const server = await serveMetrics({ host, port, read: prometheus.read });
  logger.info({ event: 'metrics_listening', url: server.url }, 'Prometheus may read metrics');
  return { ...prometheus, close: server.close };
}

/** What one of them adds to a line, the line has. */
const inAll = (exporters: readonly MetricsExporter[]): MetricsExporter => ({
  request(metrics) {
    return Object.assign({}, ...exporters.map((exporter) => exporter.request(metrics)));
  },
  anonymous(status) {
    return Object.assign({}, ...exporters.map((exporter) => exporter.anonymous(status)));
  },
  figure(...figure) {
    return Object.assign({}, ...exporters.map((exporter) => exporter.figure(...figure)));
  },
  watch(resource, read) {
    for (const exporter of exporters) exporter.watch?.(resource, read);
  },
  async close() {
    await Promise.all(exporters.map((exporter) => exporter.close()));
  },
});
