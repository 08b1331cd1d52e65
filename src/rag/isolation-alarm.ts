import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';

/** Told when one layer of isolation let something through that the next one caught. That is always a bug. */
export interface IsolationAlarm {
  raise(context: TenantContext, what: { layer: string; foreign_ids: readonly string[] }): void;
  /** Alarms raised since the process started. */
  readonly count: number;
}

/** Logs each alarm as one error line that carries the metric `IsolationAlarmCount`. */
export function createIsolationAlarm({ logger }: { logger: Logger }): IsolationAlarm {
  let count = 0;
  return {
    raise(context, what) {
      count += 1;
      logger.error(
        {
          event: 'isolation_alarm',
          metric: 'IsolationAlarmCount',
          value: 1,
          tenant_id: context.tenantId,
          user_id: context.userId,
          request_id: context.requestId,
          ...what,
        },
        'a search returned what its user must not see; the whole answer was discarded',
      );
    },
    get count() {
      return count;
    },
  };
}
