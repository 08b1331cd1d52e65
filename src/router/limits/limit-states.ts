import type { LimitState, LimitStates } from '#router/limits/rate-limiter.ts';

/** Entries of the token log that are looked at for the first that holds tokens: requests without any are there, too. */
export const TOKEN_ENTRIES_SEEN = 20;

export const NO_STATES: LimitStates = { states: [], state: null, tokens: null };

/** Adds the tightest of each kind: the window with the least left; of equals, the one that is free again last. */
export function summarise(states: readonly LimitState[]): LimitStates {
  let requests: LimitState | null = null;
  let tokens: LimitState | null = null;
  for (const state of states) {
    if (state.name === 'tokens_per_minute') {
      if (isTighter(state, tokens)) tokens = state;
    } else if (state.name !== 'concurrent_requests' && isTighter(state, requests)) {
      requests = state;
    }
  }
  return { states, state: requests, tokens };
}

function isTighter(state: LimitState, than: LimitState | null): boolean {
  if (than === null) return true;
  if (state.remaining !== than.remaining) return state.remaining < than.remaining;
  return state.resetMs > than.resetMs;
}
