import { BulkheadError } from '#app/errors/bulkhead-error.ts';
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
};

/** Keys younger than this are used as they are. */
export const FRESH_MS = 2_000;
/** Keys older than this are refreshed before they are used: a withdrawn key stops within five seconds. */
export const MAX_AGE_MS = 4_000;
/** While the issuer cannot be reached, its last keys serve this long; then its tokens are refused. */
export const MAX_STALE_MS = 10 * 60_000;
/** Between two requests to an issuer, whatever tokens ask for. */
export const COOLDOWN_MS = 1_000;

/** So long after a failed refresh nobody waits for the next: an issuer that hangs would cost every request its deadline. */
export const FAILED_RECENTLY_MS = 5_000;

const TIMEOUT_MS = 3_000;
const MAX_BYTES = 256 * 1024;

/** An issuer's published keys: fetched when needed, by one request at a time, however many tokens wait. */
export function createRemoteKeySet(options: RemoteKeySetOptions) {
  const { now } = options;
  let keys: readonly VerificationKey[] | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let failedAt = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<boolean> | undefined;

  /** True when the keys were fetched anew. Never throws, and never runs twice at once or within the cool-down. */
  function refresh(): Promise<boolean> {
    if (refreshing !== undefined) return refreshing;
    if (now() - triedAt < COOLDOWN_MS) return Promise.resolve(false);
    const startedAt = now();
    triedAt = startedAt;
    refreshing = fetchKeys(options)
      .then((fresh) => {
        keys = fresh;
        // As old as the request: what a slow answer says may have been withdrawn since.
        fetchedAt = startedAt;
        return true;
      })
      .catch((error: unknown) => {
        failedAt = now();
        options.onRefreshError?.(error);
        return false;
      })
      .finally(() => {
        refreshing = undefined;
      });
    return refreshing;
  }

  return {
    /** The key for a token, or null where the issuer has none. Throws `service_unavailable` with no usable keys. */
    async keyFor(header: CompactToken['header']): Promise<VerificationKey | null> {
      const age = now() - fetchedAt;
      const hasFailed = keys !== undefined && now() - failedAt < FAILED_RECENTLY_MS;
      if (age > MAX_AGE_MS && !hasFailed) await refresh();
      else if (age > FRESH_MS) void refresh();
      if (keys === undefined || now() - fetchedAt > MAX_STALE_MS) {
        throw new BulkheadError(
          'service_unavailable',
          'The issuer’s keys cannot be fetched; try again shortly.',
        );
      }
      const key = selectKey(keys, header);
      // A key that is not there may be a new one: ask once more, unless we just did.
      if (key !== null || !(await refresh())) return key;
      return selectKey(keys, header);
    },
  };
}

async function fetchKeys(options: RemoteKeySetOptions): Promise<VerificationKey[]> {
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
  return readKeySet(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}
