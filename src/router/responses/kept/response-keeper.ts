import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { untilAborted } from '#app/until-aborted.ts';
import type { Logger } from '#observability/logger.ts';
import type { NewKeptResponse } from '#router/responses/kept/kept-response.ts';
import type { ResponseBounds } from '#router/responses/kept/response-bounds.ts';
import type { ResponseStore } from '#router/responses/kept/response-store.ts';

/** Keeps a response before its answer is complete; whether it is kept. Never throws, and takes no longer than its time. */
export type KeepNewResponse = (
  context: TenantContext,
  config: TenantConfig,
  /** Makes it. */
  draft: () => NewKeptResponse,
) => Promise<boolean>;

/** An answer is worth more than that it is kept: it waits no longer. */
const KEEP_MS = 2_000;

export function createResponseKeeper({
  store,
  bounds,
  logger,
  keepMs = KEEP_MS,
}: {
  store: Pick<ResponseStore, 'insert'>;
  bounds: ResponseBounds;
  logger: Logger;
  /** For tests. */
  keepMs?: number;
}): KeepNewResponse {
  return async (context, config, draft) => {
    const signal = AbortSignal.timeout(keepMs);
    try {
      const bytes = await untilAborted(store.insert(context, draft(), signal), signal);
      bounds.note(context.tenantId, config, bytes);
      return true;
    } catch (error) {
      const { requestId: request_id, tenantId: tenant_id } = context;
      logger.error(
        { event: 'response_not_kept', request_id, tenant_id, err: error },
        'a response is answered and not kept',
      );
      return false;
    }
  };
}
