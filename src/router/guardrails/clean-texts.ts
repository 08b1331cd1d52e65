import { hash } from 'node:crypto';
import { RecentMap } from '#app/recent-map.ts';
import type { TextSource } from '#router/guardrails/compile-guardrails.ts';
import type { Inspect } from '#router/guardrails/inspect-values.ts';

/** Texts that are remembered at least, over all tenants; about 3 MB. */
const MIN_TEXTS = 10_000;
/** Hashing a longer text saves less, and it seldom comes again. */
const MAX_CHARACTERS = 131_072;
const MIN_CHARACTERS = 32;

/**
 * Remembers texts in which nothing was found: a client sends the whole conversation with each new message. Keys hold the
 * policy version, so nothing is shared between tenants, or kept past a change; a text is kept as its hash alone.
 */
export function createCleanTexts() {
  const clean = new RecentMap<string, true>(MIN_TEXTS);
  const scopes = new WeakMap<object, number>();
  let nextScope = 0;

  return (policy: object, inspect: Inspect): Inspect => {
    let scope = scopes.get(policy);
    if (scope === undefined) {
      scope = nextScope++;
      scopes.set(policy, scope);
    }
    return function* remembered(text: string, source: TextSource) {
      if (text.length < MIN_CHARACTERS || text.length > MAX_CHARACTERS) return yield* inspect(text, source);
      const key = `${scope} ${source} ${hash('sha256', text, 'base64')}`;
      if (clean.get(key) === true) return [];
      const reasons = yield* inspect(text, source);
      if (reasons.length === 0) clean.set(key, true);
      return reasons;
    };
  };
}
