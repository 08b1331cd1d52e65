import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Settings } from '#app/settings/settings.ts';
import type { CloudWatchLogs } from '#observability/cloudwatch/cloudwatch-logs.ts';
import { createEmbeddedMetrics } from '#observability/cloudwatch/embedded-metrics.ts';
import type { LineDestination, Logger } from '#observability/logger.ts';
import type { MetricsExporter } from '#observability/metrics.ts';

export type CloudWatchSettings = Pick<
  Settings,
  | 'AWS_REGION'
  | 'CLOUDWATCH_LOG_GROUP'
  | 'CLOUDWATCH_LOG_RETENTION_DAYS'
  | 'CLOUDWATCH_METRICS'
  | 'CLOUDWATCH_NAMESPACE'
  | 'METRICS_TENANTS'
  | 'METRICS_MAX_TENANTS'
>;

/** Of one call to CloudWatch, milliseconds. */
const CONNECT_MS = 2_000;
const CALL_MS = 10_000;

type Common = {
  /** For what goes wrong; not through CloudWatch itself. */
  logger: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
};

/**
 * Log lines to the group that the settings name; undefined where they name none. Credentials are found as AWS's SDK
 * finds them. Its code is loaded only where it is asked for.
 */
export async function openCloudWatchLogs(
  {
    AWS_REGION: region,
    CLOUDWATCH_LOG_GROUP: group,
    CLOUDWATCH_LOG_RETENTION_DAYS: retentionDays,
  }: CloudWatchSettings,
  process: string,
  { fallback, now, logger }: Common & { fallback: LineDestination },
): Promise<CloudWatchLogs | undefined> {
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

/** Metrics as the settings have them; undefined where they are off. */
export async function openCloudWatchMetrics(
  {
    AWS_REGION: region,
    CLOUDWATCH_METRICS: kind,
    CLOUDWATCH_NAMESPACE: namespace,
    METRICS_TENANTS: tenants,
    METRICS_MAX_TENANTS: maxTenants,
  }: CloudWatchSettings,
  { now, logger }: Common,
): Promise<MetricsExporter | undefined> {
  if (kind === 'off') return undefined;
  if (kind === 'emf' || region === undefined) {
    return createEmbeddedMetrics({ namespace, tenants, maxTenants, now });
  }
  const [{ CloudWatchClient }, { createCloudWatchMetrics }] = await Promise.all([
    import('@aws-sdk/client-cloudwatch'),
    import('#observability/cloudwatch/cloudwatch-metrics.ts'),
  ]);
  const client = new CloudWatchClient({ region, requestHandler: await handler() });
  return createCloudWatchMetrics({ client, namespace, tenants, maxTenants, logger, now });
}

async function handler() {
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  return new NodeHttpHandler({
    connectionTimeout: CONNECT_MS,
    requestTimeout: CALL_MS,
    throwOnRequestTimeout: true,
  });
}
