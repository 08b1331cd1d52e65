import type { TenantContext } from '#app/tenant-context.ts';
import { LIMIT_ITEMS } from '#router/limits/limit-items.ts';
import type { LimitPlan } from '#router/limits/limit-plan.ts';
import type { LimitStates } from '#router/limits/rate-limiter.ts';

/**
 * What is left, for 200 and 429 alike: the tightest windows in `x-ratelimit-*` headers by their OpenAI names, and every
 * limit in the fields of draft-ietf-httpapi-ratelimit-headers-10, `RateLimit-Policy` and `RateLimit`.
 */
export function limitHeaders(
  { states, state, tokens }: LimitStates,
  plan: LimitPlan,
  context: TenantContext,
): Record<string, string> {
  const headers: Record<string, string> = {};
  if (state !== null) {
    headers['x-ratelimit-limit-requests'] = String(state.limit);
    headers['x-ratelimit-remaining-requests'] = String(state.remaining);
    headers['x-ratelimit-reset-requests'] = formatDuration(state.resetMs);
  }
  if (tokens !== null) {
    headers['x-ratelimit-limit-tokens'] = String(tokens.limit);
    headers['x-ratelimit-remaining-tokens'] = String(tokens.remaining);
    headers['x-ratelimit-reset-tokens'] = formatDuration(tokens.resetMs);
  }
  if (states.length === 0) return headers;
  const { partitions, policyField } = plan.fieldsOf(context);
  headers['ratelimit-policy'] = policyField;
  let items = '';
  for (const { scope, name, remaining, nextMs, windowMs } of states) {
    // Requests are counted at the next whole millisecond: one that came just now is no second longer in its window.
    const time = nextMs === null ? '' : `;t=${Math.ceil(Math.min(nextMs, windowMs) / 1_000)}`;
    const item = `${LIMIT_ITEMS[scope][name]};r=${remaining}${time};pk=:${partitions[scope]}:`;
    items = items === '' ? item : `${items}, ${item}`;
  }
  headers.ratelimit = items;
  return headers;
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
