import type { PiiTokens } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { Shape } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { hashOf } from '#router/guardrails/prompt-guard/hash.ts';

/**
 * Words with capitals in a row, and the small words between them, as names of several words are written: what the last one is
 * ("Society"), or what lists say of any, tells of all.
 */
export type NameRuns = Readonly<{
  /** By token: the number of its run, -1 outside. */
  runOf: Int32Array;
  /** By run: its first and last token, and what lists say of all of its words together. */
  firsts: Int32Array;
  lasts: Int32Array;
  lists: Int32Array;
}>;

/** Small words and signs within names. */
const JOINING = new Set(
  [
    'of',
    'and',
    'the',
    'for',
    'de',
    'la',
    'du',
    'des',
    'del',
    'di',
    'da',
    'do',
    'van',
    'von',
    'der',
    'den',
    'y',
    'e',
    'et',
    'und',
  ]
    .concat(['&', '-', "'", '’', '+'])
    .map((word) => hashOf(word) | 0),
);
/** At most so many of them in a row. */
const MOST_JOINING = 2;

const isName = (shape: number): boolean =>
  shape === Shape.capital ||
  shape === Shape.allCapitals ||
  shape === Shape.mixed ||
  shape === Shape.capitalOne;

/** Finds the runs. `alone` is what lists say of each word. */
export function nameRunsOf({ count, words, shapes }: PiiTokens, alone: Uint16Array): NameRuns {
  const runOf = new Int32Array(count).fill(-1);
  const firsts: number[] = [];
  const lasts: number[] = [];
  const lists: number[] = [];
  for (let index = 0; index < count; ) {
    if (!isName(shapes[index] ?? 0)) {
      index++;
      continue;
    }
    const first = index;
    let last = index;
    let bits = alone[index] ?? 0;
    for (let at = index + 1, between = 0; at < count && between <= MOST_JOINING; at++) {
      if (isName(shapes[at] ?? 0)) {
        last = at;
        between = 0;
        bits |= alone[at] ?? 0;
      } else if (JOINING.has(words[at] ?? 0)) between++;
      else break;
    }
    runOf.fill(firsts.length, first, last + 1);
    firsts.push(first);
    lasts.push(last);
    lists.push(bits);
    index = last + 1;
  }
  return {
    runOf,
    firsts: Int32Array.from(firsts),
    lasts: Int32Array.from(lasts),
    lists: Int32Array.from(lists),
  };
}
