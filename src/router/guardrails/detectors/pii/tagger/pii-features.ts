import {
  BEGINS_LONGER,
  GAZETTEER_TYPES,
  type Gazetteer,
  MAX_GAZETTEER_WORDS,
  withNextWord,
} from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
import { type NameRuns, nameRunsOf } from '#router/guardrails/detectors/pii/tagger/name-runs.ts';
import { type PiiTokens, Shape } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { mixSigned as mix, pairSigned as pair } from '#router/guardrails/prompt-guard/hash.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** More than any token has. */
export const MAX_FEATURES = 96;

/** What the features of a text are read from. */
export type PiiContext = Readonly<{
  tokens: PiiTokens;
  fine: Int32Array;
  coarse: Int32Array;
  /** What the lists say of the word alone, and of the longest name in them that it is part of. */
  alone: Uint16Array;
  within: Int32Array;
  /** Both as one number. */
  lists: Int32Array;
  runs: NameRuns;
  /** How much of the text is in capitals: none, some, most of it. */
  cased: number;
}>;

/** The first word of a listed name; the other words of it have the next bit too. */
const BEGINS = 1 << 16;
const GOES_ON = 1 << 17;

/** Looks every word up. `classes` and `gazetteer` are the tagger's own. */
export function piiContextOf(tokens: PiiTokens, classes: WordClasses, gazetteer: Gazetteer): PiiContext {
  const { count, words } = tokens;
  const fine = new Int32Array(count);
  const coarse = new Int32Array(count);
  const alone = new Uint16Array(count);
  const within = new Int32Array(count);
  for (let index = 0; index < count; index++) {
    const word = (words[index] ?? 0) >>> 0;
    fine[index] = classes.fineOf(word);
    coarse[index] = classes.coarseOf(word);
    alone[index] = gazetteer.find(word);
  }
  for (let index = 0; index < count; ) {
    const own = alone[index] ?? 0;
    if ((own & BEGINS_LONGER) === 0) {
      index++;
      continue;
    }
    let hash = words[index] ?? 0;
    let taken = 1;
    let bits = 0;
    for (let more = 1; more < MAX_GAZETTEER_WORDS && index + more < count; more++) {
      hash = withNextWord(hash, words[index + more] ?? 0);
      const found = gazetteer.find(hash);
      if (found === 0) continue;
      bits = found;
      taken = more + 1;
    }
    if (taken > 1) {
      within[index] = bits | BEGINS;
      for (let more = 1; more < taken; more++) within[index + more] = bits | BEGINS | GOES_ON;
    }
    index += taken;
  }
  const lists = new Int32Array(count);
  for (let index = 0; index < count; index++) {
    alone[index] = (alone[index] ?? 0) & (BEGINS_LONGER - 1);
    lists[index] = Math.imul(within[index] ?? 0, 0x2c1b3c6d) ^ (alone[index] ?? 0);
  }
  return {
    tokens,
    fine,
    coarse,
    alone,
    within,
    lists,
    runs: nameRunsOf(tokens, alone),
    cased: casedOf(tokens),
  };
}

function casedOf({ count, shapes }: PiiTokens): number {
  let words = 0;
  let capitals = 0;
  for (let index = 0; index < count; index++) {
    const shape = shapes[index] ?? 0;
    if (shape === Shape.none || shape > Shape.lowerMixed) continue;
    words++;
    if (shape >= Shape.capital && shape <= Shape.mixed) capitals++;
  }
  return capitals === 0 ? 0 : capitals * 5 < words * 3 ? 1 : 2;
}

/** Before the first word, and after the last. */
const NOTHING = 7;

/**
 * Writes the hashed features of one token into `row` from the start on: the word, its form, its lists, and the words beside
 * it. Enough to tell that most words are nobody's name. Returns their number.
 */
export function writeFirstFeatures(context: PiiContext, index: number, row: Uint32Array): number {
  const { tokens, fine, coarse, lists } = context;
  const { words, shapes, last3 } = tokens;
  const word = words[index] ?? NOTHING;
  const shape = shapes[index] ?? NOTHING;
  const before = words[index - 1] ?? NOTHING;
  const after = words[index + 1] ?? NOTHING;
  const shapeBefore = shapes[index - 1] ?? NOTHING;
  const shapeAfter = shapes[index + 1] ?? NOTHING;
  let at = 0;
  row[at++] = mix(word, 1);
  row[at++] = pair(word, shape, 2);
  row[at++] = pair(shape, shapeBefore, 3);
  row[at++] = pair(shape, shapeAfter, 4);
  row[at++] = pair(before, shape, 11);
  row[at++] = pair(after, shape, 12);
  row[at++] = pair(last3[index] ?? 0, shape, 13);
  row[at++] = pair(coarse[index] ?? 0, shape, 18);
  row[at++] = pair(fine[index - 1] ?? NOTHING, shape, 19);
  row[at++] = pair(fine[index + 1] ?? NOTHING, shape, 20);
  row[at++] = pair(lists[index] ?? 0, shape, 30);
  row[at++] = pair(lists[index - 1] ?? NOTHING, shape, 31);
  row[at++] = pair(lists[index + 1] ?? NOTHING, shape, 32);
  return at;
}

/** Writes all other features behind the first ones: more of the word, more of its neighbours, the run that it is in. */
export function writeOtherFeatures(
  context: PiiContext,
  index: number,
  row: Uint32Array,
  from: number,
): number {
  const { tokens, fine, coarse, alone, within, lists, cased } = context;
  const { words, shapes, first3, last2, last4, glued } = tokens;
  const word = words[index] ?? NOTHING;
  const shape = shapes[index] ?? NOTHING;
  const before = words[index - 1] ?? NOTHING;
  const after = words[index + 1] ?? NOTHING;
  const second = words[index - 2] ?? NOTHING;
  const next = words[index + 2] ?? NOTHING;
  const shapeBefore = shapes[index - 1] ?? NOTHING;
  const shapeAfter = shapes[index + 1] ?? NOTHING;
  const shapeSecond = shapes[index - 2] ?? NOTHING;
  const shapeNext = shapes[index + 2] ?? NOTHING;
  const own = lists[index] ?? NOTHING;
  const listsBefore = lists[index - 1] ?? NOTHING;
  const listsAfter = lists[index + 1] ?? NOTHING;
  const ownAlone = alone[index] ?? 0;
  const ownWithin = within[index] ?? 0;
  const form = shape * 2 + (glued[index] ?? 0);
  const length = Math.min(15, (tokens.ends[index] ?? 0) - (tokens.starts[index] ?? 0));
  let at = from;
  row[at++] = mix(before, 5);
  row[at++] = mix(after, 6);
  row[at++] = mix(second, 7);
  row[at++] = mix(next, 8);
  row[at++] = pair(before, word, 9);
  row[at++] = pair(word, after, 10);
  row[at++] = pair(last4[index] ?? 0, shape, 14);
  row[at++] = pair(first3[index] ?? 0, shape, 15);
  row[at++] = pair(last2[index] ?? 0, shape, 16);
  row[at++] = mix(fine[index] ?? 0, 17);
  row[at++] = pair(coarse[index - 2] ?? NOTHING, coarse[index - 1] ?? NOTHING, 21);
  row[at++] = pair(pair(shapeSecond, shapeBefore, 22), shape, 22);
  row[at++] = pair(pair(shapeAfter, shapeNext, 23), shape, 23);
  row[at++] = pair(second, before, 24);
  row[at++] = pair(after, next, 25);
  row[at++] = pair(pair(shapeBefore, form, 26), shapeAfter, 26);
  row[at++] = pair(words[index - 3] ?? NOTHING, shape, 27);
  row[at++] = pair(words[index + 3] ?? NOTHING, shape, 28);
  row[at++] = pair(form, length, 29);
  row[at++] = pair(listsBefore, own, 33);
  row[at++] = pair(own, listsAfter, 34);
  row[at++] = pair(own, before, 35);
  row[at++] = pair(own, after, 36);
  row[at++] = pair(pair(shapeBefore, own, 37), shapeAfter, 37);
  row[at++] = pair(own, fine[index - 1] ?? NOTHING, 38);
  row[at++] = pair(pair(second, before, 39), own, 39);
  row[at++] = pair(pair(after, next, 40), own, 40);
  row[at++] = pair(pair(second, before, 41), shape, 41);
  row[at++] = pair(pair(shapeBefore, shapeSecond, 42), pair(shape, shapes[index - 3] ?? NOTHING, 42), 42);
  row[at++] = pair(pair(shapeAfter, shapeNext, 43), pair(shape, shapes[index + 3] ?? NOTHING, 43), 43);
  row[at++] = pair(lists[index - 2] ?? NOTHING, shape, 44);
  row[at++] = pair(lists[index + 2] ?? NOTHING, shape, 45);
  row[at++] = pair(own, cased, 48);
  row[at++] = pair(pair(before, cased, 49), shape, 49);
  for (let type = 0; type < GAZETTEER_TYPES.length; type++) {
    if ((ownAlone >> type) & 1) row[at++] = pair(type, shape, 46);
    if ((ownWithin >> type) & 1) row[at++] = pair(type, (ownWithin >> 16) & 3, 47);
  }
  return writeRunFeatures(context, index, row, at);
}

/** The run's ends, its lists, and the words around it. */
function writeRunFeatures(context: PiiContext, index: number, row: Uint32Array, from: number): number {
  const { tokens, runs, lists } = context;
  const { words, shapes } = tokens;
  const run = runs.runOf[index] ?? -1;
  if (run < 0) return from;
  const first = runs.firsts[run] ?? 0;
  const last = runs.lasts[run] ?? 0;
  const bits = runs.lists[run] ?? 0;
  const before = words[first - 1] ?? NOTHING;
  const after = words[last + 1] ?? NOTHING;
  const place = (index === first ? 1 : 0) + (index === last ? 2 : 0);
  const length = Math.min(7, last - first);
  let at = from;
  row[at++] = pair(words[last] ?? 0, place, 50);
  row[at++] = pair(words[first] ?? 0, place, 51);
  row[at++] = pair(bits, place, 52);
  row[at++] = pair(before, bits, 53);
  row[at++] = pair(after, bits, 54);
  row[at++] = pair(before, after, 55);
  row[at++] = pair(length * 4 + place, shapes[index] ?? 0, 56);
  row[at++] = pair(lists[last] ?? 0, pair(lists[first] ?? 0, length, 57), 57);
  row[at++] = pair(words[first - 2] ?? NOTHING, pair(before, place, 58), 58);
  row[at++] = pair(bits, lists[index] ?? 0, 59);
  return at;
}
