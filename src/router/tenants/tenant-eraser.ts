import type { Database } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { Logger } from '#observability/logger.ts';
import { administrationContext } from '#router/identity/administration-context.ts';
import {
  beginErasure,
  finishErasure,
  listUnfinishedErasures,
  removeRows,
} from '#router/tenants/erasure-rows.ts';

export interface TenantEraser {
  /**
   * Erases a tenant: documents, index, jobs, rows. From the first step on it exists for nobody. Resolves when nothing
   * is left; where it throws, the rest is done later, also by the next process. Throws `not_found`.
   */
  erase(tenantId: TenantId, author: string): Promise<void>;
  /** Goes on with what has been begun, and looks again from time to time. */
  start(): void;
  close(): Promise<void>;
}

const RETRY_MS = 30_000;
/** For what removes many files. */
const RAG_TIMEOUT_MS = 600_000;

export function createTenantEraser(options: {
  database: Database;
  rag: RagService;
  logger: Logger;
  /** Told when the tenant stops to exist, so that caches forget it. */
  onBegun: (tenantId: TenantId) => void;
  /** Deletes what limits keep of the tenant. Never throws. */
  forgetLimits: (tenantId: TenantId) => Promise<void>;
}): TenantEraser {
  const { database, rag, logger, onBegun, forgetLimits } = options;
  const underWay = new Map<TenantId, Promise<void>>();
  const closing = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let resuming: Promise<void> = Promise.resolve();

  /** Every step can be repeated; cut off anywhere, the next attempt begins at the first. */
  async function run(tenantId: TenantId): Promise<void> {
    const eraseFiles = () =>
      rag.eraseTenant(
        administrationContext(tenantId),
        AbortSignal.any([closing.signal, AbortSignal.timeout(RAG_TIMEOUT_MS)]),
      );
    await eraseFiles();
    await removeRows(database, tenantId);
    // Uploads and indexing that were under way could still write until their rows were refused. Now nothing can.
    await eraseFiles();
    await forgetLimits(tenantId);
    await finishErasure(database, tenantId);
    logger.info({ event: 'tenant_erased', tenant_id: tenantId }, 'a tenant was erased');
  }

  function runOnce(tenantId: TenantId): Promise<void> {
    const known = underWay.get(tenantId);
    if (known !== undefined) return known;
    const running = run(tenantId).finally(() => underWay.delete(tenantId));
    underWay.set(tenantId, running);
    return running;
  }

  async function resume(): Promise<void> {
    try {
      for (const tenantId of await listUnfinishedErasures(database)) {
        if (closing.signal.aborted) return;
        await runOnce(tenantId).catch((error: unknown) => {
          logger.error(
            { event: 'tenant_erasure_failed', tenant_id: tenantId, err: error },
            'an erasure is tried again later',
          );
        });
      }
    } catch (error) {
      logger.warn({ event: 'tenant_erasures_unknown', err: error }, 'erasures cannot be looked up now');
    }
  }

  function schedule(delayMs: number): void {
    if (closing.signal.aborted) return;
    timer = setTimeout(() => {
      resuming = resume().finally(() => schedule(RETRY_MS));
    }, delayMs).unref();
  }

  return {
    async erase(tenantId, author) {
      await beginErasure(database, tenantId, author);
      onBegun(tenantId);
      await runOnce(tenantId);
    },
    start: () => schedule(0),
    async close() {
      closing.abort(new DOMException('The service is shutting down.', 'AbortError'));
      clearTimeout(timer);
      await Promise.allSettled([resuming, ...underWay.values()]);
    },
  };
}
