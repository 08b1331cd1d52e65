import type { FairSemaphoreStats } from '#app/fair/fair-semaphore.ts';
import type { TenantMetrics } from '#app/schemas/tenant-metrics.ts';
import type { LogFields, Logger } from '#observability/logger.ts';

/** Receives what each finished request says of itself. Recording never throws and never blocks the request. */
export interface RequestMetrics {
  record(metrics: TenantMetrics): void;
}

/** Where figures go beside the log line that tells of them. Neither call throws, or waits for anything. */
export interface MetricsExporter {
  /** Fields that the request's line has in addition. */
  request(metrics: TenantMetrics): LogFields | undefined;
  /** A request of no tenant, by the status of its answer. */
  anonymous(status: number): LogFields | undefined;
  /** Of a line that carries one figure, by the service that writes it, and by the dependency that it is of, if it is. */
  figure(service: string, name: string, value: number, dependency?: string): LogFields | undefined;
  /** Reads the places of a shared resource each time that figures are read. Absent where nobody reads them. */
  watch?(resource: string, read: () => FairSemaphoreStats): void;
  /** Sends what waits. Never throws. */
  close(): Promise<void>;
}

/** Writes one structured line a request, with the field names of {@link TenantMetrics} as they are. */
export function createLogMetrics(options: { logger: Logger; exporter?: MetricsExporter }): RequestMetrics {
  const { logger, exporter } = options;
  return {
    record(metrics) {
      const message = `${metrics.route} ${metrics.status}`;
      logger.record({ event: 'request', ...metrics, ...exporter?.request(metrics) }, message);
    },
  };
}
