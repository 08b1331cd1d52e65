import { pipeline, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { TenantId } from '#app/ids.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';
import { appendEvents } from '#router/audit/append-events.ts';
import { type ExportPlace, ExportPlaces } from '#router/export/export-places.ts';
import { exportTenant } from '#router/export/export-tenant.ts';
import { tarOf } from '#router/export/tar.ts';

export interface TenantExporter {
  /**
   * Opens an archive (tar, gzip) of everything of the tenant. It is audited before its first byte. The stream is made as
   * it is read; when it is destroyed, or `signal` fires, nothing is left. Throws `service_unavailable` where too many run
   * for `WAIT_MS`.
   */
  open(request: {
    context: TenantContext;
    requestedBy: string;
    requestId: string;
    signal: AbortSignal;
  }): Promise<Readable>;
  close(): void;
}

const RETRY_AFTER_MS = 30_000;
/** A client that takes nothing for so long has gone. */
const IDLE_MS = 300_000;
/** How long a request waits for a place, and how often it looks, milliseconds. */
const WAIT_MS = 2_000;
const PAUSE_MS = 250;
const STOPPED = new DOMException('The export was stopped.', 'AbortError');

export function createTenantExporter(options: {
  database: Database;
  rag: RagService;
  logger: Logger;
  now: () => number;
  monotonicNow: () => number;
  /** Default: the figure above. For tests. */
  idleMs?: number;
  waitMs?: number;
}): TenantExporter {
  const { database, rag, logger, now, monotonicNow, idleMs = IDLE_MS, waitMs = WAIT_MS } = options;
  const closing = new AbortController();
  const places = new ExportPlaces({ monotonicNow });

  async function audit(tenantId: TenantId, actor: string, requestId: string): Promise<void> {
    await database.asSystem(
      (transaction) =>
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
      tenantId,
    );
  }

  function stream(request: Parameters<TenantExporter['open']>[0], place: ExportPlace, ended: AbortSignal) {
    const { context, requestedBy } = request;
    const signal = AbortSignal.any([request.signal, closing.signal, ended]);
    const startedAt = new Date(now());
    const entries = exportTenant(
      { database, rag },
      { context, tenantId: context.tenantId, requestedBy, startedAt, signal },
    );
    const archive = withErrorListener(Readable.from(tarOf(entries, startedAt), { objectMode: false }));
    const zipped = withErrorListener(createGzip());
    const idle = setTimeout(() => zipped.destroy(new Error('The export was not read.')), idleMs).unref();
    archive.on('data', (piece: Uint8Array) => {
      idle.refresh();
      place.took(piece.byteLength);
    });
    const stop = () => zipped.destroy(signal.reason instanceof Error ? signal.reason : STOPPED);
    signal.addEventListener('abort', stop, { once: true });
    pipeline(archive, zipped, (error) => {
      clearTimeout(idle);
      signal.removeEventListener('abort', stop);
      place.free();
      if (error === undefined || error === null) return;
      const fields = { event: 'tenant_export_failed', tenant_id: context.tenantId, err: error };
      logger.warn(fields, 'an export ended early');
    });
    return zipped;
  }

  /**
   * Waits a moment for a place; null: there is none. Were it refused at once, a client that asks again at once over a hundred
   * connections would fill each turn of the event loop with refusals, and an export takes a thousand turns.
   */
  async function placeFor(
    tenantId: TenantId,
    signal: AbortSignal,
    end: () => void,
  ): Promise<ExportPlace | null> {
    const until = monotonicNow() + waitMs;
    for (;;) {
      signal.throwIfAborted();
      const place = places.take(tenantId, end);
      if (place !== null || monotonicNow() >= until) return place;
      try {
        const either = AbortSignal.any([signal, closing.signal]);
        await delay(Math.min(PAUSE_MS, waitMs), undefined, { signal: either });
      } catch {
        signal.throwIfAborted();
        return null;
      }
    }
  }

  return {
    async open(request) {
      const { tenantId } = request.context;
      const ending = new AbortController();
      const place = await placeFor(tenantId, request.signal, () =>
        ending.abort(new Error('Others waited, and it was read slowly.')),
      );
      if (place === null) {
        throw new BulkheadError('service_unavailable', 'Other exports are under way.', {
          retryAfterMs: RETRY_AFTER_MS,
        });
      }
      try {
        await audit(tenantId, request.requestedBy, request.requestId);
        request.signal.throwIfAborted();
      } catch (error) {
        place.free();
        throw error;
      }
      return stream(request, place, ending.signal);
    },
    close: () => closing.abort(new DOMException('The service is shutting down.', 'AbortError')),
  };
}
