import type { LimitDecision, LimitState } from '#router/limits/rate-limiter.ts';

/** The `x-ratelimit-*` headers by their OpenAI names, for 200 and 429 alike. */
export function limitHeaders(decision: Pick<LimitDecision, 'state' | 'tokens'>): Record<string, string> {
  return { ...headersOf('requests', decision.state), ...headersOf('tokens', decision.tokens) };
}

function headersOf(kind: 'requests' | 'tokens', state: LimitState | null): Record<string, string> {
  if (state === null) return {};
  return {
    [`x-ratelimit-limit-${kind}`]: String(state.limit),
    [`x-ratelimit-remaining-${kind}`]: String(state.remaining),
    [`x-ratelimit-reset-${kind}`]: formatDuration(state.resetMs),
  };
}

/** `Retry-After` in whole seconds, never too early, and the exact milliseconds that the OpenAI SDKs prefer. */
export function retryHeaders(retryAfterMs: number): Record<string, string> {
  const whole = Math.max(1, Math.ceil(retryAfterMs));
  return { 'retry-after': String(Math.ceil(whole / 1_000)), 'retry-after-ms': String(whole) };
}

/** A duration as OpenAI writes it: `20ms`, `1.5s`, `6m0s`, `1h0m0s`. Rounded up to the millisecond. */
export function formatDuration(milliseconds: number): string {
  const whole = Math.ceil(milliseconds);
  if (whole < 1_000) return `${whole}ms`;
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor((whole % 3_600_000) / 60_000);
  const seconds = (whole % 60_000) / 1_000;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
