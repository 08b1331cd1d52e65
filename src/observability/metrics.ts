import type { TenantMetrics } from '#app/schemas/tenant-metrics.ts';
import type { Logger } from '#observability/logger.ts';

/** Receives what each finished request says of itself. Recording never throws and never blocks the request. */
export interface RequestMetrics {
  record(metrics: TenantMetrics): void;
}

/** Writes one structured line a request, with the field names of {@link TenantMetrics} as they are. */
export function createLogMetrics({ logger }: { logger: Logger }): RequestMetrics {
  return {
    record(metrics) {
      logger.record({ event: 'request', ...metrics }, `${metrics.route} ${metrics.status}`);
    },
  };
}
