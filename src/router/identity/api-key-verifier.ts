import { hash, timingSafeEqual } from 'node:crypto';
import { RecentMap } from '#app/recent-map.ts';
import type { ApiKey } from '#app/schemas/api-key.ts';
import type { Logger } from '#observability/logger.ts';
import { createBatcher } from '#router/batcher.ts';
import { hmacOfSecret, parseApiKey } from '#router/identity/api-key.ts';
import type { ApiKeyStore, StoredApiKey } from '#router/identity/api-key-store.ts';
import { within } from '#router/within.ts';

/** How long a verdict is believed: a revocation in another process takes effect within this. */
const TRUSTED_FOR_MS = 2_000;
/** How long a good verdict outlives its time while the database cannot answer. */
const TRUSTED_IN_OUTAGE_MS = 30_000;
const LOOKUP_TIMEOUT_MS = 3_000;
/** Verdicts kept of each kind, at least. Bad keys have room of their own: a flood of them evicts no good one. */
const MIN_VERDICTS = 10_000;
const MAX_LOOKUP_BATCH = 200;

export interface ApiKeyVerifier {
  /**
   * The key that the text is, or null for anything else: malformed, unknown, wrong secret, expired, revoked.
   * Throws `service_unavailable` when the database cannot say.
   */
  verify(apiKey: string): Promise<ApiKey | null>;
  /** Forgets all verdicts on a key. */
  forget(keyId: string): void;
}

type Verdict<Value> = { value: Value; keyId: string; at: number };

/** A good key, and when its secret ends, by the wall clock. */
type Proven = Readonly<{ key: ApiKey; until: number }>;

/** Checks keys against the store, and remembers verdicts by a hash of the whole key for a short time. */
export function createApiKeyVerifier(options: {
  store: ApiKeyStore;
  pepper: string;
  now: () => number;
  monotonicNow: () => number;
  logger: Logger;
}): ApiKeyVerifier {
  const { store, pepper, now, monotonicNow, logger } = options;
  const good = new RecentMap<string, Verdict<Proven>>(MIN_VERDICTS);
  const bad = new RecentMap<string, Verdict<null>>(MIN_VERDICTS);
  const underWay = new Map<string, Promise<Proven | null>>();
  /** Counts revocations, so that an answer read before one is not remembered after it. */
  let generation = 0;

  const lookUp = createBatcher<string, { stored: StoredApiKey | null }>({
    maxSize: MAX_LOOKUP_BATCH,
    run: async (keyIds) => (await store.findMany(keyIds)).map((stored) => ({ stored })),
  });

  async function judge(keyId: string, secret: string, cacheKey: string): Promise<Proven | null> {
    const before = generation;
    const { stored } = await within(lookUp(keyId), LOOKUP_TIMEOUT_MS, 'Credentials cannot be checked now.');
    const proof = hmacOfSecret(pepper, secret);
    // An unknown id costs the same comparison as a known one.
    const none = Buffer.alloc(proof.length);
    const isCurrent = timingSafeEqual(proof, stored?.secretHmac ?? none);
    const isPrevious = timingSafeEqual(proof, stored?.previous?.secretHmac ?? none);
    const proven =
      stored !== null && (isCurrent || isPrevious) && stored.key.revoked_at === null
        ? { key: stored.key, until: endOf(stored, isCurrent) }
        : null;
    if (before === generation) {
      const at = monotonicNow();
      if (proven === null) bad.set(cacheKey, { value: null, keyId, at });
      else good.set(cacheKey, { value: proven, keyId, at });
    }
    return proven;
  }

  const unexpired = (proven: Proven | null): ApiKey | null =>
    proven !== null && proven.until > now() ? proven.key : null;

  return {
    async verify(apiKey) {
      const parts = parseApiKey(apiKey);
      if (parts === null) return null;
      const cacheKey = hash('sha256', apiKey, 'base64url');
      const known = good.get(cacheKey);
      const time = monotonicNow();
      if (known !== undefined && time - known.at < TRUSTED_FOR_MS) return unexpired(known.value);
      const refused = bad.get(cacheKey);
      if (refused !== undefined && time - refused.at < TRUSTED_FOR_MS) return null;

      let judging = underWay.get(cacheKey);
      if (judging === undefined) {
        judging = judge(parts.keyId, parts.secret, cacheKey).finally(() => underWay.delete(cacheKey));
        underWay.set(cacheKey, judging);
      }
      try {
        const proven = await judging;
        if (proven === null) good.delete(cacheKey);
        return unexpired(proven);
      } catch (error) {
        // Still the same verdict, not one that a revocation has removed meanwhile.
        const kept = good.get(cacheKey);
        if (kept === undefined || time - kept.at > TRUSTED_IN_OUTAGE_MS) throw error;
        logger.warn(
          { err: error, key_id: parts.keyId },
          'the database is out of reach: an older verdict serves',
        );
        return unexpired(kept.value);
      }
    },
    forget(keyId) {
      generation += 1;
      for (const verdicts of [good, bad]) {
        for (const [cacheKey, verdict] of verdicts.entries())
          if (verdict.keyId === keyId) verdicts.delete(cacheKey);
      }
    },
  };
}

function endOf({ key, previous }: StoredApiKey, isCurrent: boolean): number {
  const expiry = key.expires_at === null ? Number.POSITIVE_INFINITY : Date.parse(key.expires_at);
  return isCurrent || previous === null ? expiry : Math.min(expiry, previous.until);
}
