import { RecentMap } from '#app/recent-map.ts';
import { summarise } from '#router/limits/limit-states.ts';
import type { LimitDenied, LimitName, LimitScope } from '#router/limits/rate-limiter.ts';

type Holders = ReadonlyMap<LimitScope['scope'], string>;
type Remembered = { denied: LimitDenied; at: number; holders: Holders };

/** Denials kept at least; the oldest go first, and are asked for again. */
const MIN_REMEMBERED = 10_000;
/** How long a denial is repeated without asking, milliseconds: clocks cannot drift apart by much in that time. */
const REPEAT_MS = 1_000;
/** Only requests that leave their window make room in these, and when the next one leaves is known. */
const WINDOWS: readonly LimitName[] = ['requests_per_minute', 'requests_per_hour'];

/**
 * Remembers until when a window of requests is full. Nothing but time makes room in one, so a tenant that goes on
 * asking is denied here as Redis would deny it, and costs Redis nothing; and an outage does not hand out anew what
 * Redis had already given away.
 */
export class DenialMemory {
  readonly #remembered = new RecentMap<string, Remembered>(MIN_REMEMBERED);
  readonly #monotonicNow: () => number;

  /** @param monotonicNow milliseconds */
  constructor(monotonicNow: () => number) {
    this.#monotonicNow = monotonicNow;
  }

  /**
   * @param keys of the scopes, in their order
   * @param askedAt when the question was sent: what was true then frees up no later.
   */
  remember(
    scopes: readonly LimitScope[],
    keys: readonly string[],
    denied: LimitDenied,
    askedAt: number,
  ): void {
    if (!WINDOWS.includes(denied.name)) return;
    const holders = holdersOf(scopes, keys);
    const id = idOf(holders.get(denied.scope) ?? '', denied.name, denied.limit);
    this.#remembered.set(id, { denied, at: askedAt, holders });
  }

  /**
   * The denial that still binds one of the scopes, its times counted from now. While Redis answers, only a fresh
   * one counts; without it (`isOutage`), any that has not run out.
   */
  find(scopes: readonly LimitScope[], keys: readonly string[], isOutage: boolean): LimitDenied | undefined {
    if (this.#remembered.size === 0) return undefined;
    const now = this.#monotonicNow();
    for (const [index, { limits }] of scopes.entries()) {
      for (const name of WINDOWS) {
        const limit = limits[name];
        if (limit === null) continue;
        const id = idOf(keys[index] ?? '', name, limit);
        const found = this.#remembered.get(id);
        if (found === undefined) continue;
        const elapsed = now - found.at;
        if (elapsed >= found.denied.retryAfterMs) this.#remembered.delete(id);
        else if (isOutage || elapsed < REPEAT_MS) return repeat(found, holdersOf(scopes, keys), elapsed);
      }
    }
    return undefined;
  }
}

/** A limit that was changed meanwhile is another limit. */
const idOf = (key: string, name: LimitName, limit: number) => `${key} ${name} ${limit}`;

const holdersOf = (scopes: readonly LimitScope[], keys: readonly string[]): Holders =>
  new Map(scopes.map(({ scope }, index) => [scope, keys[index] ?? '']));

/**
 * A full window of the tenant denies each of its users. Where the first of them stands with limits of their own is told
 * to nobody else.
 */
function repeat({ denied, holders }: Remembered, asking: Holders, elapsedMs: number): LimitDenied {
  const states = denied.states
    .filter(({ scope }) => holders.get(scope) === asking.get(scope))
    .map((state) => ({
      ...state,
      resetMs: Math.max(0, state.resetMs - elapsedMs),
      nextMs: state.nextMs === null ? null : Math.max(0, state.nextMs - elapsedMs),
    }));
  return { ...denied, ...summarise(states), retryAfterMs: denied.retryAfterMs - elapsedMs };
}
