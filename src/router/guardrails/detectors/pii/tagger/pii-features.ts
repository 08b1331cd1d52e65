import {
  GAZETTEER_TYPES,
  type Gazetteer,
  MAX_GAZETTEER_WORDS,
  withNextWord,
} from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
import type { PiiTokens } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { mixSigned as mix, pairSigned as pair } from '#router/guardrails/prompt-guard/hash.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** More than any token has. */
export const MAX_FEATURES = 80;

/** What the features of a text are read from. */
export type PiiContext = Readonly<{
  tokens: PiiTokens;
  fine: Int32Array;
  coarse: Int32Array;
  /** What the lists say of the word alone, and of the longest name in them that it is part of. */
  alone: Uint16Array;
  within: Int32Array;
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
  return { tokens, fine, coarse, alone, within };
}

/** Before the first word, and after the last. */
const NOTHING = 7;

/** Writes the hashed features of one token into `row`: itself, its form, its ends, its lists and its neighbours. Their number. */
export function writePiiFeatures(context: PiiContext, index: number, row: Uint32Array): number {
  const { tokens, fine, coarse, alone, within } = context;
  const { words, shapes, first3, last2, last3, last4, glued } = tokens;
  const wordAt = (at: number): number => words[at] ?? NOTHING;
  const shapeAt = (at: number): number => shapes[at] ?? NOTHING;
  const listsAt = (at: number): number => ((within[at] ?? 0) << 12) ^ (alone[at] ?? 0);
  const word = wordAt(index);
  const shape = shapeAt(index);
  const before = wordAt(index - 1);
  const after = wordAt(index + 1);
  const second = wordAt(index - 2);
  const next = wordAt(index + 2);
  const shapeBefore = shapeAt(index - 1);
  const shapeAfter = shapeAt(index + 1);
  const shapeSecond = shapeAt(index - 2);
  const shapeNext = shapeAt(index + 2);
  const lists = listsAt(index);
  const listsBefore = listsAt(index - 1);
  const listsAfter = listsAt(index + 1);
  const ownAlone = alone[index] ?? 0;
  const ownWithin = within[index] ?? 0;
  const form = shape * 2 + (glued[index] ?? 0);
  const fineBefore = fine[index - 1] ?? NOTHING;
  const fineAfter = fine[index + 1] ?? NOTHING;
  let at = 0;
  row[at++] = mix(word, 1);
  row[at++] = pair(word, shape, 2);
  row[at++] = pair(shape, shapeBefore, 3);
  row[at++] = pair(shape, shapeAfter, 4);
  row[at++] = mix(before, 5);
  row[at++] = mix(after, 6);
  row[at++] = mix(second, 7);
  row[at++] = mix(next, 8);
  row[at++] = pair(before, word, 9);
  row[at++] = pair(word, after, 10);
  row[at++] = pair(before, shape, 11);
  row[at++] = pair(after, shape, 12);
  row[at++] = pair(last3[index] ?? 0, shape, 13);
  row[at++] = pair(last4[index] ?? 0, shape, 14);
  row[at++] = pair(first3[index] ?? 0, shape, 15);
  row[at++] = pair(last2[index] ?? 0, shape, 16);
  row[at++] = mix(fine[index] ?? 0, 17);
  row[at++] = pair(coarse[index] ?? 0, shape, 18);
  row[at++] = pair(fineBefore, shape, 19);
  row[at++] = pair(fineAfter, shape, 20);
  row[at++] = pair(coarse[index - 2] ?? NOTHING, coarse[index - 1] ?? NOTHING, 21);
  row[at++] = pair(pair(shapeSecond, shapeBefore, 22), shape, 22);
  row[at++] = pair(pair(shapeAfter, shapeNext, 23), shape, 23);
  row[at++] = pair(second, before, 24);
  row[at++] = pair(after, next, 25);
  row[at++] = pair(pair(shapeBefore, form, 26), shapeAfter, 26);
  row[at++] = pair(wordAt(index - 3), shape, 27);
  row[at++] = pair(wordAt(index + 3), shape, 28);
  row[at++] = pair(form, Math.min(15, (tokens.ends[index] ?? 0) - (tokens.starts[index] ?? 0)), 29);
  row[at++] = pair(lists, shape, 30);
  row[at++] = pair(listsBefore, shape, 31);
  row[at++] = pair(listsAfter, shape, 32);
  row[at++] = pair(listsBefore, lists, 33);
  row[at++] = pair(lists, listsAfter, 34);
  row[at++] = pair(lists, before, 35);
  row[at++] = pair(lists, after, 36);
  row[at++] = pair(pair(shapeBefore, lists, 37), shapeAfter, 37);
  row[at++] = pair(lists, fineBefore, 38);
  row[at++] = pair(pair(second, before, 39), lists, 39);
  row[at++] = pair(pair(after, next, 40), lists, 40);
  row[at++] = pair(pair(second, before, 41), shape, 41);
  row[at++] = pair(pair(shapeBefore, shapeSecond, 42), pair(shape, shapeAt(index - 3), 42), 42);
  row[at++] = pair(pair(shapeAfter, shapeNext, 43), pair(shape, shapeAt(index + 3), 43), 43);
  row[at++] = pair(listsAt(index - 2), shape, 44);
  row[at++] = pair(listsAt(index + 2), shape, 45);
  for (let type = 0; type < GAZETTEER_TYPES.length; type++) {
    if ((ownAlone >> type) & 1) row[at++] = pair(type, shape, 46);
    if ((ownWithin >> type) & 1) row[at++] = pair(type, (ownWithin >> 16) & 3, 47);
  }
  return at;
}
