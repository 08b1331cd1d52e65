import { NO_STATES, summarise } from '#router/limits/limit-states.ts';
import type {
  LimitDenied,
  LimitName,
  LimitScope,
  LimitState,
  LimitStates,
} from '#router/limits/rate-limiter.ts';

/** Where in the script's answer the states begin. */
const STATES_AT = 6;
const WINDOW_MS: Readonly<Record<LimitName, number>> = {
  requests_per_minute: 60_000,
  requests_per_hour: 3_600_000,
  tokens_per_minute: 60_000,
  concurrent_requests: 0,
};
/** In the order of the script's arguments. */
export const NAMES: readonly LimitName[] = [
  'requests_per_minute',
  'requests_per_hour',
  'tokens_per_minute',
  'concurrent_requests',
];

/** Rounded down, so that the shares together stay within the limit. */
export function shareOf(scope: LimitScope, replicas: number): LimitScope {
  const share = (limit: number | null) => (limit === null ? null : Math.floor(limit / replicas));
  const { limits } = scope;
  return {
    ...scope,
    limits: {
      requests_per_minute: share(limits.requests_per_minute),
      requests_per_hour: share(limits.requests_per_hour),
      tokens_per_minute: share(limits.tokens_per_minute),
      concurrent_requests: share(limits.concurrent_requests),
    },
  };
}

/** Where the limits stand, by the script's answer. */
export function statesFrom(reply: readonly number[], scopes: readonly LimitScope[]): LimitStates {
  const states: LimitState[] = [];
  let at = STATES_AT;
  for (const { scope, limits } of scopes) {
    for (const name of NAMES) {
      const limit = limits[name];
      if (limit === null) continue;
      const [remaining = 0, resetMs = 0, next = -1] = [reply[at], reply[at + 1], reply[at + 2]];
      const nextMs = next < 0 ? null : next;
      states.push({ scope, name, limit, remaining, windowMs: WINDOW_MS[name], resetMs, nextMs });
      at += 3;
    }
  }
  return summarise(states);
}

/** Which limit denied, by the script's answer. */
export function denialFrom(reply: readonly number[], scopes: readonly LimitScope[]): LimitDenied {
  const [, scope = 0, name = 0, limit = 0, current = 0, retryAfterMs = 0] = reply;
  const deniedBy = scopes[scope - 1]?.scope;
  const limitName = NAMES[name - 1];
  if (deniedBy === undefined || limitName === undefined)
    throw new Error('The limit script gave an unknown answer.');
  return { admitted: false, ...NO_STATES, name: limitName, scope: deniedBy, limit, current, retryAfterMs };
}
