import type { Logger } from '#observability/logger.ts';
import type { ApiKeyStore } from '#router/identity/api-key-store.ts';

export interface LastUsed {
  /** Notes a use. Costs one look into a map; the database hears of it later. */
  record(keyId: string): void;
  /** Writes what is noted, once. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** A key that is used all the time is written this often by each router. */
const AT_MOST_EVERY_MS = 60_000;
const FLUSH_EVERY_MS = 5_000;
/** More keys than this in use within a minute: the rest is noted later. */
const MAX_KEYS = 10_000;

/** When keys were last used, kept off the requests' way. What a crash loses is a minute of it. */
export function createLastUsed(options: {
  store: Pick<ApiKeyStore, 'recordUses'>;
  now: () => number;
  monotonicNow: () => number;
  logger: Logger;
}): LastUsed {
  const { store, now, monotonicNow, logger } = options;
  /** By key, oldest first: when it was last put down for writing. */
  const noted = new Map<string, number>();
  let pending = new Map<string, number>();
  let writing: Promise<void> = Promise.resolve();

  function forgetOld(time: number): void {
    for (const [keyId, at] of noted) {
      if (time - at < AT_MOST_EVERY_MS) return;
      noted.delete(keyId);
    }
  }

  async function write(): Promise<void> {
    const uses = pending;
    if (uses.size === 0) return;
    pending = new Map();
    try {
      await store.recordUses([...uses].map(([keyId, at]) => ({ keyId, at: new Date(at) })));
    } catch (error) {
      logger.warn({ err: error, keys: uses.size }, 'when keys were last used could not be written');
    }
  }

  const flush = () => {
    writing = writing.then(write);
    return writing;
  };
  const timer = setInterval(() => void flush(), FLUSH_EVERY_MS);
  timer.unref();

  return {
    record(keyId) {
      const time = monotonicNow();
      const before = noted.get(keyId);
      if (before !== undefined && time - before < AT_MOST_EVERY_MS) return;
      forgetOld(time);
      if (noted.size >= MAX_KEYS) return;
      noted.delete(keyId);
      noted.set(keyId, time);
      pending.set(keyId, now());
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}
