import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';
import { appendEvents } from '#router/audit/append-events.ts';
import { exportTenant } from '#router/export/export-tenant.ts';
import { tarOf } from '#router/export/tar.ts';

export interface TenantExporter {
  /**
   * Opens an archive (tar, gzip) of everything of the tenant. It is audited before its first byte. The stream is made as
   * it is read; when it is destroyed, or `signal` fires, nothing is left. Throws `service_unavailable` where too many run.
   */
  open(request: {
    context: TenantContext;
    requestedBy: string;
    requestId: string;
    signal: AbortSignal;
  }): Promise<Readable>;
  close(): void;
}

/**
 * At once in one process: each reads the database as fast as its client takes it. Of a tenant one: a slow reader keeps its
 * place, and nobody else’s.
 */
const MAX_EXPORTS = 4;
const RETRY_AFTER_MS = 30_000;
/** A client that takes nothing for so long has gone. */
const IDLE_MS = 300_000;

export function createTenantExporter(options: {
  database: Database;
  rag: RagService;
  logger: Logger;
  now: () => number;
}): TenantExporter {
  const { database, rag, logger, now } = options;
  const closing = new AbortController();
  const running = new Set<TenantId>();

  async function audit(tenantId: TenantId, actor: string, requestId: string): Promise<void> {
    await database.asSystem((transaction) =>
      appendEvents(transaction, tenantId, [
        {
          actor,
          tenantId,
          action: 'tenant.exported',
          target: tenantId,
          outcome: 'done',
          details: { request_id: requestId },
        },
      ]),
    );
  }

  function stream(request: Parameters<TenantExporter['open']>[0]): Readable {
    const { context, requestedBy } = request;
    const signal = AbortSignal.any([request.signal, closing.signal]);
    const startedAt = new Date(now());
    const entries = exportTenant(
      { database, rag },
      { context, tenantId: context.tenantId, requestedBy, startedAt, signal },
    );
    const archive = Readable.from(tarOf(entries, startedAt), { objectMode: false });
    const zipped = createGzip();
    const idle = setTimeout(() => zipped.destroy(new Error('The export was not read.')), IDLE_MS).unref();
    archive.on('data', () => idle.refresh());
    const stop = () => zipped.destroy(new DOMException('The export was stopped.', 'AbortError'));
    signal.addEventListener('abort', stop, { once: true });
    pipeline(archive, zipped, (error) => {
      clearTimeout(idle);
      signal.removeEventListener('abort', stop);
      running.delete(context.tenantId);
      if (error === undefined || error === null) return;
      const fields = { event: 'tenant_export_failed', tenant_id: context.tenantId, err: error };
      logger.warn(fields, 'an export ended early');
    });
    return zipped;
  }

  return {
    async open(request) {
      const { tenantId } = request.context;
      if (running.has(tenantId) || running.size >= MAX_EXPORTS) {
        throw new BulkheadError('service_unavailable', 'Other exports are under way.', {
          retryAfterMs: RETRY_AFTER_MS,
        });
      }
      running.add(tenantId);
      try {
        await audit(tenantId, request.requestedBy, request.requestId);
        request.signal.throwIfAborted();
      } catch (error) {
        running.delete(tenantId);
        throw error;
      }
      return stream(request);
    },
    close: () => closing.abort(new DOMException('The service is shutting down.', 'AbortError')),
  };
}
