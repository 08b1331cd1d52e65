import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** Headers that can carry an API key, besides `Authorization`. */
const KEY_HEADERS = ['x-api-key', 'api-key'] as const;

/** Sent once only. Node keeps the first of two `Authorization` headers; a proxy before us may keep the last. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set(['authorization', 'x-tenant-id', ...KEY_HEADERS]);

/** Far longer than any credential, and short enough to hash at no cost. */
const MAX_CREDENTIAL_CHARACTERS = 8_192;

export type SentCredential = Readonly<{
  /** null where none was sent. */
  credential: string | null;
  /** `X-Tenant-Id`, as it was sent; null where it was not. */
  claimedTenant: string | null;
}>;

/**
 * The one credential of a request. Throws `invalid_credential` where it is sent twice, in two ways that differ, or in a scheme that is not Bearer.
 */
export function readCredential(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  rawHeaders: readonly string[],
): SentCredential {
  refuseDoubles(rawHeaders);
  const sent = KEY_HEADERS.map((name) => headers[name]).filter((value) => value !== undefined);
  const authorization = headers.authorization;
  if (authorization !== undefined) sent.push(bearerToken(authorization));
  const [credential, ...others] = sent;
  const claimed = headers['x-tenant-id'];
  const claimedTenant = typeof claimed === 'string' ? claimed : null;
  if (credential === undefined) return { credential: null, claimedTenant };
  if (typeof credential !== 'string' || credential === '' || credential.length > MAX_CREDENTIAL_CHARACTERS) {
    throw invalid();
  }
  if (others.some((other) => other !== credential)) throw invalid('Two different credentials were sent.');
  return { credential, claimedTenant };
}

function bearerToken(authorization: string | string[]): string {
  const [, token] = (typeof authorization === 'string' && /^Bearer +(\S+) *$/i.exec(authorization)) || [];
  if (token === undefined) throw invalid('The Authorization header must be: Bearer, a space, the API key.');
  return token;
}

function refuseDoubles(rawHeaders: readonly string[]): void {
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (!SINGLE_HEADERS.has(name)) continue;
    if (seen.has(name)) throw invalid(`The header ${name} was sent more than once.`);
    seen.add(name);
  }
}

const invalid = (message = 'The credential is not valid.') =>
  new BulkheadError('invalid_credential', message);
