import type { IncomingMessage } from 'node:http';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';

/** Bytes of bodies that one tenant may be sending at once: a few of the largest, and thousands of usual ones. */
const MAX_PENDING_BYTES = 67_108_864;
const RETRY_AFTER_MS = 1_000;

/**
 * Bodies that are on their way. They wait in memory until their last byte, and no limit of the tenant is asked before: a
 * thousand that never end would be as many megabytes of everybody's.
 */
export class PendingBodies {
  readonly #maxBodyBytes: number;
  readonly #tenants = new Map<TenantId, number>();

  /** `maxBodyBytes` is what a body counts that does not say how long it is. */
  constructor({ maxBodyBytes }: { maxBodyBytes: number }) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Counts the body of a request until it is there, or its client has gone. Throws `rate_limit_exceeded`. */
  enter(tenantId: TenantId, request: IncomingMessage): void {
    const bytes = this.announced(request);
    if (bytes === 0) return;
    const pending = this.#tenants.get(tenantId) ?? 0;
    if (pending + bytes > MAX_PENDING_BYTES) {
      throw new BulkheadError('rate_limit_exceeded', 'The tenant is sending too many bytes at once.', {
        refusal: { policy: 'pending_bodies', limit: MAX_PENDING_BYTES, current: pending },
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
    this.#tenants.set(tenantId, pending + bytes);
    request.once('close', () => {
      const left = (this.#tenants.get(tenantId) ?? 0) - bytes;
      if (left > 0) this.#tenants.set(tenantId, left);
      else this.#tenants.delete(tenantId);
    });
  }

  /** Bytes that the body may have; 0 for none, and for forms. */
  announced({ headers, complete }: IncomingMessage): number {
    // Forms go to disk as they come, and after the limits.
    if (complete || /^multipart\//i.test(headers['content-type'] ?? '')) return 0;
    const { 'content-length': length, 'transfer-encoding': encoding } = headers;
    if (length !== undefined) return Math.min(Number(length), this.#maxBodyBytes);
    return encoding === undefined ? 0 : this.#maxBodyBytes;
  }
}
