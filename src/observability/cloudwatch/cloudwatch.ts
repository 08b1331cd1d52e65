import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Settings } from '#app/settings/settings.ts';
import { createEmbeddedMetrics } from '#observability/cloudwatch/embedded-metrics.ts';
import { createLogger, type LineDestination, type Logger } from '#observability/logger.ts';
import type { MetricsExporter } from '#observability/metrics.ts';

export type CloudWatchSettings = Pick<
  Settings,
  | 'AWS_REGION'
  | 'CLOUDWATCH_LOG_GROUP'
  | 'CLOUDWATCH_LOG_RETENTION_DAYS'
  | 'CLOUDWATCH_METRICS'
  | 'CLOUDWATCH_NAMESPACE'
  | 'CLOUDWATCH_TENANTS'
  | 'LOG_LEVEL'
>;

/** What a process logs by and counts by. */
export type Observability = Readonly<{
  loggerOf(service: string): Logger;
  /** Absent: figures are in the log lines alone. */
  metrics?: MetricsExporter;
  /** Sends what waits, for 5 s at most each of logs and metrics; what is logged later goes to the fallback. Never throws. */
  close(): Promise<void>;
}>;

/** Of one call to CloudWatch, milliseconds. */
const CONNECT_MS = 2_000;
const CALL_MS = 10_000;

/**
 * Logs and metrics as the settings have them: to stdout (or `fallback`), or to CloudWatch, and to the former while the
 * latter is unavailable. Credentials are found as AWS's SDK finds them. Its code is loaded only where it is asked for.
 */
export async function openObservability(
  settings: CloudWatchSettings,
  options: {
    /** Names the log stream: `router`. */
    process: string;
    fallback: LineDestination;
    /** Milliseconds since 1970. */
    now?: () => number;
  },
): Promise<Observability> {
  const { fallback, now = Date.now } = options;
  const level = settings.LOG_LEVEL;
  const own = createLogger({ level, service: options.process, destination: fallback });
  const logs = await openLogs(settings, options.process, { fallback, now, logger: own });
  const metrics = await openMetrics(settings, { now, logger: own });
  return {
    loggerOf: (service) =>
      createLogger({
        level,
        service,
        destination: logs ?? fallback,
        ...(metrics === undefined ? {} : { figure: metrics.figure }),
      }),
    ...(metrics === undefined ? {} : { metrics }),
    async close() {
      await metrics?.close();
      await logs?.close();
    },
  };
}

async function openLogs(
  {
    AWS_REGION: region,
    CLOUDWATCH_LOG_GROUP: group,
    CLOUDWATCH_LOG_RETENTION_DAYS: retentionDays,
  }: CloudWatchSettings,
  process: string,
  { fallback, now, logger }: { fallback: LineDestination; now: () => number; logger: Logger },
) {
  if (group === undefined || region === undefined) return undefined;
  const [{ CloudWatchLogsClient }, { CloudWatchLogs }] = await Promise.all([
    import('@aws-sdk/client-cloudwatch-logs'),
    import('#observability/cloudwatch/cloudwatch-logs.ts'),
  ]);
  const client = new CloudWatchLogsClient({ region, maxAttempts: 1, requestHandler: await handler() });
  // A name that no other process has, now or after a restart. Colons and asterisks may not be in it.
  const stream = `${process}/${hostname().replace(/[:*]/g, '-')}/${randomBytes(6).toString('hex')}`;
  return new CloudWatchLogs({
    client,
    group,
    stream,
    retentionDays,
    fallback,
    now,
    onChange: (isOut, cause) =>
      isOut
        ? logger.warn(
            { event: 'cloudwatch_unavailable', what: 'logs', err: cause },
            'log lines go here until CloudWatch takes them again',
          )
        : logger.info({ event: 'cloudwatch_available', what: 'logs' }, 'CloudWatch takes log lines again'),
    onRefused: (count, reason) =>
      logger.warn(
        { event: 'cloudwatch_logs_refused', lines: count, err: reason },
        'CloudWatch refused log lines; they are here',
      ),
  });
}

async function openMetrics(
  {
    AWS_REGION: region,
    CLOUDWATCH_METRICS: kind,
    CLOUDWATCH_NAMESPACE: namespace,
    CLOUDWATCH_TENANTS: tenants,
  }: CloudWatchSettings,
  { now, logger }: { now: () => number; logger: Logger },
): Promise<MetricsExporter | undefined> {
  if (kind === 'off') return undefined;
  if (kind === 'emf' || region === undefined) return createEmbeddedMetrics({ namespace, tenants, now });
  const [{ CloudWatchClient }, { createCloudWatchMetrics }] = await Promise.all([
    import('@aws-sdk/client-cloudwatch'),
    import('#observability/cloudwatch/cloudwatch-metrics.ts'),
  ]);
  const client = new CloudWatchClient({ region, requestHandler: await handler() });
  return createCloudWatchMetrics({ client, namespace, tenants, logger, now });
}

async function handler() {
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  return new NodeHttpHandler({
    connectionTimeout: CONNECT_MS,
    requestTimeout: CALL_MS,
    throwOnRequestTimeout: true,
  });
}
