import type { CallFault } from '#app/http/service-connection.ts';
import type { Logger } from '#observability/logger.ts';

/** Writes an error line, and counts the metric `InternalCallFaultCount`, for each call between services that failed by itself. */
export const reportCallFaults =
  (logger: Logger): ((fault: CallFault) => void) =>
  (fault) =>
    logger.error(
      { event: 'internal_call_failed', metric: 'InternalCallFaultCount', value: 1, ...fault },
      `the ${fault.callee} refused a call of this service: check ${fault.check}`,
    );
