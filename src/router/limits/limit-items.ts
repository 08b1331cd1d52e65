import type { LimitName, LimitScope } from '#router/limits/rate-limiter.ts';

/** Where in `rate_limits` of the tenant's config a scope's limits are. */
export const LIMIT_FIELDS: Readonly<Record<LimitScope['scope'], string>> = {
  tenant: '',
  user: 'per_user.',
  key: 'per_key.',
};

const itemsOf = (scope: LimitScope['scope']): Readonly<Record<LimitName, string>> => {
  const named = (name: LimitName) => `"${LIMIT_FIELDS[scope]}${name}"`;
  return {
    requests_per_minute: named('requests_per_minute'),
    requests_per_hour: named('requests_per_hour'),
    tokens_per_minute: named('tokens_per_minute'),
    concurrent_requests: named('concurrent_requests'),
  };
};

/** The names of limits as strings of structured fields: as refusals name them, below `rate_limits`. */
export const LIMIT_ITEMS: Readonly<Record<LimitScope['scope'], Readonly<Record<LimitName, string>>>> = {
  tenant: itemsOf('tenant'),
  user: itemsOf('user'),
  key: itemsOf('key'),
};
