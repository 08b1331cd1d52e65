import type { TenantRateLimit } from '#app/schemas/tenant-rate-limit.ts';
import type { TenantContext } from '#app/tenant-context.ts';

/** The limits that a limiter decides by, by their names in TenantRateLimit. */
export type LimitName =
  | 'requests_per_minute'
  | 'requests_per_hour'
  | 'tokens_per_minute'
  | 'concurrent_requests';

/** Whose limits: the whole tenant's, one user's of it, or one key's. */
export type LimitScope = Readonly<{
  scope: 'tenant' | 'user' | 'key';
  limits: Pick<TenantRateLimit, LimitName>;
  /** What happens while a shared store cannot be asked; absent: `degrade`. */
  onOutage?: TenantRateLimit['on_outage'];
}>;

/** Where one limit stands after a decision, for response headers. Times in milliseconds from now. */
export type LimitState = Readonly<{
  scope: LimitScope['scope'];
  name: LimitName;
  limit: number;
  remaining: number;
  /** Length of the sliding window; 0 for `concurrent_requests`, which have none. */
  windowMs: number;
  /** Until the whole limit is free again; 0 for `concurrent_requests`: nobody knows. */
  resetMs: number;
  /** Until some more of it is free; null: nothing is taken, or nobody knows. */
  nextMs: number | null;
}>;

/** Every limit that was looked at, and of two kinds the tightest. */
export type LimitStates = Readonly<{
  states: readonly LimitState[];
  /** The tightest window of requests; null where no request limit is set. */
  state: LimitState | null;
  /** The tightest window of tokens; null where no token limit is set. */
  tokens: LimitState | null;
}>;

export type LimitAdmitted = LimitStates &
  Readonly<{
    admitted: true;
    /** Replaces the reserved tokens by those that were really used. The last call counts; too late is harmless. */
    settle: (tokens: number) => void;
    /**
     * Gives the place among concurrent requests back. Safe to call more than once. Reserved tokens that were not
     * settled stay counted: what an engine may have used is not free.
     */
    release: () => void;
  }>;

export type LimitDenied = LimitStates &
  Readonly<{
    admitted: false;
    /** The binding limit: of those that deny, the one that frees up last. */
    name: LimitName;
    scope: LimitScope['scope'];
    limit: number;
    current: number;
    /** The same request, alone, is admitted after this and not before. A guess for `concurrent_requests`. */
    retryAfterMs: number;
  }>;

export type LimitDecision = LimitAdmitted | LimitDenied;

/**
 * Decides over all scopes at once: either every limit of every scope has room and the request is counted in
 * all of them, or it is denied and counted in none. Each limit holds in any sliding window of its length;
 * tokens count at the moment of their reservation. `tokens` is the estimate to reserve, at most the limit.
 */
export interface RateLimiter {
  admit(context: TenantContext, scopes: readonly LimitScope[], tokens?: number): Promise<LimitDecision>;
}
