import type { LimitDecision, LimitState } from '#router/limits/rate-limiter.ts';

/**
 * What is left, for 200 and 429 alike: the `x-ratelimit-*` headers by their OpenAI names, and the fields of
 * draft-ietf-httpapi-ratelimit-headers-10, `RateLimit-Policy` and `RateLimit`.
 */
export function limitHeaders({
  state,
  tokens,
}: Pick<LimitDecision, 'state' | 'tokens'>): Record<string, string> {
  if (state === null && tokens === null) return {};
  const policies: string[] = [];
  const limits: string[] = [];
  for (const [kind, item, unit] of [
    ['requests', state, ''],
    ['tokens', tokens, ';qu="tokens"'],
  ] as const) {
    if (item === null) continue;
    policies.push(`"${kind}";q=${item.limit}${unit};w=${Math.round(item.windowMs / 1_000)}`);
    limits.push(`"${kind}";r=${item.remaining};t=${Math.ceil(item.resetMs / 1_000)}`);
  }
  return {
    ...headersOf('requests', state),
    ...headersOf('tokens', tokens),
    'ratelimit-policy': policies.join(', '),
    ratelimit: limits.join(', '),
  };
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
