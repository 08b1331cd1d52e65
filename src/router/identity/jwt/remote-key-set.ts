import { setTimeout as delay } from 'node:timers/promises';
import { atMostEvery } from '#app/at-most-every.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { SkippedEntries } from '#app/parse-entries.ts';
import type { CompactToken } from '#router/identity/jwt/compact-token.ts';
import { readKeySet, selectKey, type VerificationKey } from '#router/identity/jwt/key-set.ts';

/** The part of `fetch` that is used here. */
export type KeySetFetch = (
  url: string,
  init: { redirect: 'error'; headers: Record<string, string>; signal: AbortSignal },
) => Promise<{ ok: boolean; status: number; body: AsyncIterable<Uint8Array> | null }>;

export type RemoteKeySetOptions = {
  url: string;
  fetch: KeySetFetch;
  /** Milliseconds; monotonic. */
  now: () => number;
  /** Told of failed refreshes while older keys still serve. */
  onRefreshError?: (error: unknown) => void;
  /** Told, at most once a minute, of entries of the key set that are no keys. */
  onSkipped?: (skipped: SkippedEntries) => void;
  sleep?: (milliseconds: number) => Promise<unknown>;
};

/** Keys younger than this are used as they are. */
export const FRESH_MS = 2_000;
/** Keys older than this are refreshed before they are used: a withdrawn key stops within five seconds. */
export const MAX_AGE_MS = 4_000;
/** While the issuer cannot be reached, its last keys serve this long; then its tokens are refused. */
export const MAX_STALE_MS = 10 * 60_000;
/**
 * Between two requests to an issuer, whatever tokens ask for: at most 60 a minute from each router, however many unknown keys
 * tokens name. A token with a key that is not known waits this long at most, and for the answer.
 */
export const COOLDOWN_MS = 1_000;
/** Between two reports of entries that were left out of a key set. */
const REPORT_EVERY_MS = 60_000;

/** For so long after a failed refresh no request waits for the next: an issuer that hangs would cost each its deadline. */
export const FAILED_RECENTLY_MS = 5_000;

const TIMEOUT_MS = 3_000;
const MAX_BYTES = 256 * 1024;

/** An issuer's published keys: fetched when needed, by one request at a time, however many tokens wait. */
export function createRemoteKeySet(options: RemoteKeySetOptions) {
  const { now, sleep = delay } = options;
  const onSkipped = atMostEvery(REPORT_EVERY_MS, now, (skipped: SkippedEntries) =>
    options.onSkipped?.(skipped),
  );
  let keys: readonly VerificationKey[] | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let failedAt = Number.NEGATIVE_INFINITY;
  /** Refreshes that have begun, and which of them `keys` are of. */
  let begun = 0;
  let current = 0;
  let refreshing: Promise<void> | undefined;
  /** A refresh that begins when the cool-down has passed; all who wait for newer keys share it. */
  let next: Promise<void> | undefined;

  /** The refresh under way, or a new one unless it is too soon. Never throws. */
  async function refresh(): Promise<void> {
    if (refreshing === undefined && now() - triedAt >= COOLDOWN_MS) begin();
    await refreshing;
  }

  function begin(): void {
    const startedAt = now();
    triedAt = startedAt;
    begun += 1;
    const nth = begun;
    refreshing = fetchKeys(options, onSkipped)
      .then((fresh) => {
        keys = fresh;
        current = nth;
        // As old as the request: what a slow answer says may have been withdrawn since.
        fetchedAt = startedAt;
      })
      .catch((error: unknown) => {
        failedAt = now();
        options.onRefreshError?.(error);
      })
      .finally(() => {
        refreshing = undefined;
      });
  }

  /** Resolves after a refresh that begins later than this call. Never throws. */
  function refreshFromNow(): Promise<void> {
    next ??= (async () => {
      do {
        await refreshing;
        const wait = triedAt + COOLDOWN_MS - now();
        if (wait > 0) await sleep(wait);
      } while (refreshing !== undefined);
      next = undefined;
      begin();
      await refreshing;
    })();
    return next;
  }

  const hasFailedRecently = () => now() - failedAt < FAILED_RECENTLY_MS;

  function usableKeys(): readonly VerificationKey[] {
    if (keys !== undefined && now() - fetchedAt <= MAX_STALE_MS) return keys;
    throw unavailable();
  }

  /** What a set says that was asked for after `seen` refreshes had begun; throws where it cannot be had. */
  async function selectFromNewer(
    seen: number,
    header: CompactToken['header'],
  ): Promise<VerificationKey | null> {
    if (current <= seen) {
      // No answer is no proof that the issuer has no such key: refused as invalid, the token would never be tried again.
      if (hasFailedRecently()) throw unavailable();
      await refreshFromNow();
      if (current <= seen) throw unavailable();
    }
    return selectKey(usableKeys(), header);
  }

  return {
    /**
     * The key for a token, or null where the issuer has none: a key that is not known may be new, so that is decided by a set
     * that was asked for after the token came. Throws `service_unavailable` with no usable keys.
     */
    async keyFor(header: CompactToken['header']): Promise<VerificationKey | null> {
      const seen = begun;
      const age = now() - fetchedAt;
      if (age > MAX_AGE_MS && !(keys !== undefined && hasFailedRecently())) await refresh();
      else if (age > FRESH_MS) void refresh();
      const key = selectKey(usableKeys(), header);
      if (key !== null) return key;
      // One that was under way may know it already.
      await refreshing;
      return selectKey(usableKeys(), header) ?? selectFromNewer(seen, header);
    },

    /**
     * For a token without `kid` whose signature does not fit the issuer's only key: that key may have been replaced. The key of
     * a set that is newer than the token, or null.
     */
    newerKeyFor: (header: CompactToken['header']): Promise<VerificationKey | null> =>
      selectFromNewer(begun, header),
  };
}

const unavailable = () =>
  new BulkheadError('service_unavailable', 'The issuer’s keys cannot be fetched; try again shortly.');

async function fetchKeys(
  options: RemoteKeySetOptions,
  onSkipped: (skipped: SkippedEntries) => void,
): Promise<VerificationKey[]> {
  const response = await options.fetch(options.url, {
    redirect: 'error',
    headers: { accept: 'application/jwk-set+json, application/json' },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`The key set answered with status ${response.status}.`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`The key set is larger than ${MAX_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return readKeySet(JSON.parse(Buffer.concat(chunks).toString('utf8')), onSkipped);
}
