import type { TenantId } from '#app/ids.ts';

export interface ExportPlace {
  /** Its client has taken so much more. */
  took(bytes: number): void;
  /** Gives the place back; a second time it does nothing. */
  free(): void;
}

type Running = { startedAt: number; bytes: number; end: () => void };

/** At once in one process: each reads the database as fast as its client takes it. */
const MAX_EXPORTS = 4;
/** So long nobody is called slow. */
const GRACE_MS = 30_000;
/** Bytes a second, before they are packed, that a client takes on any line that is good for an archive. */
const SLOW = 64 * 1_024;

/**
 * Places for exports: one of each tenant, and few in all. Where all are taken and another tenant asks, the slowest of those that
 * are slow is ended for it: tenants whose clients read next to nothing would keep everybody from what is theirs. Alone, a slow
 * client is left in peace.
 */
export class ExportPlaces {
  readonly #running = new Map<TenantId, Running>();
  readonly #monotonicNow: () => number;

  constructor(options: { monotonicNow: () => number }) {
    this.#monotonicNow = options.monotonicNow;
  }

  /** `end` is called where the place is needed for another. null: there is none. */
  take(tenantId: TenantId, end: () => void): ExportPlace | null {
    if (this.#running.has(tenantId)) return null;
    if (this.#running.size >= MAX_EXPORTS && !this.#endSlowest()) return null;
    const running: Running = { startedAt: this.#monotonicNow(), bytes: 0, end };
    this.#running.set(tenantId, running);
    return {
      took: (bytes) => {
        running.bytes += bytes;
      },
      free: () => {
        if (this.#running.get(tenantId) === running) this.#running.delete(tenantId);
      },
    };
  }

  #endSlowest(): boolean {
    let slowest: [TenantId, Running] | null = null;
    let pace = SLOW;
    for (const [tenantId, running] of this.#running) {
      const tookMs = this.#monotonicNow() - running.startedAt;
      const own = running.bytes / (tookMs / 1_000);
      if (tookMs < GRACE_MS || own >= pace) continue;
      slowest = [tenantId, running];
      pace = own;
    }
    if (slowest === null) return false;
    const [tenantId, { end }] = slowest;
    this.#running.delete(tenantId);
    end();
    return true;
  }
}
