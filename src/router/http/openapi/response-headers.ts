const text = (description: string, example: string) => ({ description, schema: { type: 'string' }, example });
const count = (description: string, example: number) => ({
  description,
  schema: { type: 'integer', minimum: 0 },
  example,
});

/** Headers of answers, by their names. */
export const HEADERS: Readonly<Record<string, object>> = {
  'x-request-id': text('The request’s id; the same in the body of an error.', `req_${'0'.repeat(26)}`),
  'x-ratelimit-limit-requests': count(
    'Requests that the tightest window allows; absent without a limit.',
    120,
  ),
  'x-ratelimit-remaining-requests': count('Requests left in it.', 119),
  'x-ratelimit-reset-requests': text('Until the whole window is free again.', '59.9s'),
  'x-ratelimit-limit-tokens': count(
    'Tokens that the tightest window allows; absent without a limit.',
    100_000,
  ),
  'x-ratelimit-remaining-tokens': count('Tokens left in it.', 99_000),
  'x-ratelimit-reset-tokens': text('Until the whole window is free again.', '1m0s'),
  'ratelimit-policy': text(
    'Every limit that the request is under, as structured fields (draft-ietf-httpapi-ratelimit-headers): quota, unit, seconds, and whose quota it is.',
    '"requests_per_minute";q=120;w=60;pk=:giszrYfBSKCi:, "requests_per_hour";q=3600;w=3600;pk=:giszrYfBSKCi:',
  ),
  ratelimit: text(
    'What is left of each, and the seconds until some more is free.',
    '"requests_per_minute";r=119;t=60;pk=:giszrYfBSKCi:, "requests_per_hour";r=3599;t=3600;pk=:giszrYfBSKCi:',
  ),
  'retry-after': count('Seconds after which the same request can succeed, and not before.', 1),
  'retry-after-ms': count('The same in milliseconds.', 412),
  etag: text('The version of the tenant’s policy, for `If-Match`.', '"3"'),
  'idempotency-replayed': text('`true` where this answer was given before.', 'true'),
};

const LIMITS = Object.keys(HEADERS).filter((name) => name.includes('ratelimit'));

/** The headers that an answer of this status may have. */
export function headersOf(answer: {
  status: string;
  /** Counted by the limits of the caller's tenant. */
  isLimited: boolean;
  isRepeatable: boolean;
  isVersioned: boolean;
}): string[] {
  const { status, isLimited, isRepeatable, isVersioned } = answer;
  const isGood = status.startsWith('2');
  return [
    'x-request-id',
    ...(isLimited && (isGood || status === '429') ? LIMITS : []),
    ...(status === '429' || status === '503' ? ['retry-after', 'retry-after-ms'] : []),
    ...(isGood && isVersioned ? ['etag'] : []),
    ...(isGood && isRepeatable ? ['idempotency-replayed'] : []),
  ];
}
