import type { LimitDecision, LimitState } from '#router/limits/rate-limiter.ts';

/**
 * What is left, for 200 and 429 alike: the `x-ratelimit-*` headers by their OpenAI names, and the fields of
 * draft-ietf-httpapi-ratelimit-headers-10, `RateLimit-Policy` and `RateLimit`.
 */
export function limitHeaders({
  state,
  tokens,
}: Pick<LimitDecision, 'state' | 'tokens'>): Record<string, string> {
  const headers: Record<string, string> = {};
  if (state !== null) {
    headers['x-ratelimit-limit-requests'] = String(state.limit);
    headers['x-ratelimit-remaining-requests'] = String(state.remaining);
    headers['x-ratelimit-reset-requests'] = formatDuration(state.resetMs);
    addFields(headers, state, '"requests"', '');
  }
  if (tokens !== null) {
    headers['x-ratelimit-limit-tokens'] = String(tokens.limit);
    headers['x-ratelimit-remaining-tokens'] = String(tokens.remaining);
    headers['x-ratelimit-reset-tokens'] = formatDuration(tokens.resetMs);
    addFields(headers, tokens, '"tokens"', ';qu="tokens"');
  }
  return headers;
}

function addFields(headers: Record<string, string>, item: LimitState, name: string, unit: string): void {
  const policy = `${name};q=${item.limit}${unit};w=${Math.round(item.windowMs / 1_000)}`;
  const limit = `${name};r=${item.remaining};t=${Math.ceil(item.resetMs / 1_000)}`;
  const { 'ratelimit-policy': policies, ratelimit: limits } = headers;
  headers['ratelimit-policy'] = policies === undefined ? policy : `${policies}, ${policy}`;
  headers.ratelimit = limits === undefined ? limit : `${limits}, ${limit}`;
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
