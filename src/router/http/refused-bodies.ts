import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';

/** Bytes that one tenant may have read for nothing: a few of the largest bodies, and some ten thousand of usual ones. */
const MAX_REFUSED_BYTES = 33_554_432;
/** In so long all of them are forgotten, bit by bit. */
const FORGOTTEN_IN_MS = 60_000;
const BYTES_A_MS = MAX_REFUSED_BYTES / FORGOTTEN_IN_MS;
/** More tenants than refuse anything at once; beyond it those with nothing left are let go. */
const MANY_TENANTS = 10_000;

type Level = { bytes: number; at: number };

/**
 * Bodies that were read and then refused: by what is in them, or by a limit, which counts no request that it denies. Reading
 * costs this process time all the same, and a limit of one request a minute would not keep its tenant from having it read
 * forty megabytes a second.
 */
export class RefusedBodies {
  readonly #monotonicNow: () => number;
  readonly #tenants = new Map<TenantId, Level>();

  /** `monotonicNow` in milliseconds. */
  constructor({ monotonicNow }: { monotonicNow: () => number }) {
    this.#monotonicNow = monotonicNow;
  }

  /** Throws `rate_limit_exceeded` where a body of so many bytes is not to be read. */
  check(tenantId: TenantId, bytes: number): void {
    if (this.#tenants.size === 0 || bytes === 0) return;
    const level = this.#tenants.get(tenantId);
    if (level === undefined) return;
    const current = this.#levelOf(level);
    const over = current + Math.min(bytes, MAX_REFUSED_BYTES) - MAX_REFUSED_BYTES;
    if (over <= 0) return;
    throw new BulkheadError(
      'rate_limit_exceeded',
      'The tenant has sent too many bytes that were refused. Correct the requests, or send them more slowly.',
      {
        refusal: { policy: 'refused_bodies', limit: MAX_REFUSED_BYTES, current: Math.round(current) },
        retryAfterMs: Math.ceil(over / BYTES_A_MS),
      },
    );
  }

  /** A body is being read: it counts as refused until it is not. */
  add(tenantId: TenantId, bytes: number): void {
    if (this.#tenants.size >= MANY_TENANTS) this.#letGo();
    const level = this.#tenants.get(tenantId);
    if (level === undefined) this.#tenants.set(tenantId, { bytes, at: this.#monotonicNow() });
    else {
      this.#levelOf(level);
      level.bytes += bytes;
    }
  }

  /** The body was not refused. */
  takeBack(tenantId: TenantId, bytes: number): void {
    const level = this.#tenants.get(tenantId);
    if (level === undefined) return;
    level.bytes -= bytes;
    if (level.bytes <= 0) this.#tenants.delete(tenantId);
  }

  #levelOf(level: Level): number {
    const now = this.#monotonicNow();
    level.bytes = Math.max(0, level.bytes - (now - level.at) * BYTES_A_MS);
    level.at = now;
    return level.bytes;
  }

  #letGo(): void {
    for (const [tenantId, level] of this.#tenants) {
      if (this.#levelOf(level) === 0) this.#tenants.delete(tenantId);
    }
  }
}
