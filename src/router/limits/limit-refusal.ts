import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { LIMIT_FIELDS } from '#router/limits/limit-items.ts';
import type { LimitDenied, LimitName } from '#router/limits/rate-limiter.ts';

const WORDS: Readonly<Record<LimitName, string>> = {
  requests_per_minute: 'requests a minute',
  requests_per_hour: 'requests an hour',
  tokens_per_minute: 'tokens a minute',
  concurrent_requests: 'requests at once',
};

/** The 429 that names the binding limit, its value, and when it frees up. `now` is the wall clock. */
export function limitRefusal(denied: LimitDenied, now: number): BulkheadError {
  const { name, scope, limit, current } = denied;
  const retryAfterMs = Math.max(1, Math.ceil(denied.retryAfterMs));
  return new BulkheadError(
    'rate_limit_exceeded',
    `The ${scope}’s limit of ${limit} ${WORDS[name]} is reached. Try again in ${retryAfterMs} ms.`,
    {
      retryAfterMs,
      refusal: {
        policy: `rate_limits.${LIMIT_FIELDS[scope]}${name}`,
        limit,
        current,
        resets_at: new Date(now + retryAfterMs).toISOString(),
      },
    },
  );
}
