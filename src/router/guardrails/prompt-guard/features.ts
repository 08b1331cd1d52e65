import { mixSigned as mix, pairSigned as pair } from '#router/guardrails/prompt-guard/hash.ts';
import { isStep } from '#router/guardrails/prompt-guard/steps.ts';
import { type Tokens, tokensOf } from '#router/guardrails/prompt-guard/tokens.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** What a system message keeps from its user: the words that speak of it, and the classes of these. */
export type GuardedWords = Readonly<{ words: ReadonlySet<number>; classes: ReadonlySet<number> }>;

/** Windows are whole blocks: see `WINDOW_BLOCKS` of the model. */
export const BLOCK_TOKENS = 16;

/** Hashed features of a text, block by block, and where each block lies in the text. */
export type FeatureBlocks = readonly Block[];
type Block = Readonly<{ features: Uint32Array; start: number; end: number }>;

/** Kinds of feature: the top four bits of a feature, which the model does not read, tell the training which it is. */
export const FEATURE_KINDS = 15;
/** The kind of single words. */
export const WORD_KIND = 1;
const of = (kind: number, hash: number): number => (hash & 0x0fffffff) | (kind << 28);

/**
 * Per token: the word, its beginning (for other forms of it, in other languages too), the pairs and triples that it
 * ends, and pairs with one or two words between; then much the same of the words’ classes. Hashes are 32 bits; the model takes them modulo its size.
 * `guarded` is for training alone: a text that was said under a system message which keeps something has features of its own for
 * that, so that what it would mean elsewhere is not learned wrongly.
 */
export function featureBlocksOf(
  folded: string,
  classes: WordClasses,
  guarded: GuardedWords | null = null,
): FeatureBlocks {
  const read = readText(folded, classes, guarded);
  const blocks: Block[] = [];
  for (let from = 0; from < read.tokens.count; from += BLOCK_TOKENS) blocks.push(blockAt(read, from));
  return blocks;
}

/** As {@link featureBlocksOf}; others have their turn now and then. */
export function* featureBlocksInSteps(folded: string, classes: WordClasses): Generator<void, FeatureBlocks> {
  const read = readText(folded, classes, null);
  const blocks: Block[] = [];
  for (let from = 0; from < read.tokens.count; from += BLOCK_TOKENS) {
    if (isStep(blocks.length)) yield;
    blocks.push(blockAt(read, from));
  }
  return blocks;
}

/** A text's tokens and what is known of each. */
type Read = Readonly<{
  tokens: Tokens;
  fine: Int32Array;
  coarse: Int32Array;
  kept: readonly number[] | null;
}>;

function readText(folded: string, classes: WordClasses, guarded: GuardedWords | null): Read {
  const tokens = withoutRepetition(tokensOf(folded));
  const { words: hashes, count } = tokens;
  // A token without a class stands for itself.
  const fine = new Int32Array(count);
  const coarse = new Int32Array(count);
  for (let index = 0; index < count; index++) {
    const hash = hashes[index] ?? 0;
    fine[index] = classes.fineOf(hash) || hash;
    coarse[index] = classes.coarseOf(hash) || hash;
  }
  const kept =
    guarded === null
      ? null
      : Array.from({ length: count }, (_, index) => keptness(guarded, hashes[index] ?? 0, fine[index] ?? 0));
  return { tokens, fine, coarse, kept };
}

function blockAt(read: Read, from: number): Block {
  const { tokens } = read;
  const to = Math.min(tokens.count, from + BLOCK_TOKENS);
  const features = featuresBetween(read, from, to);
  return { features, start: tokens.starts[from] ?? 0, end: tokens.ends[to - 1] ?? 0 };
}

function featuresBetween({ tokens, fine, coarse, kept }: Read, from: number, to: number): Uint32Array {
  const { words: hashes } = tokens;
  const features = new Uint32Array((to - from) * (kept === null ? 11 : 18));
  let count = 0;
  for (let index = from; index < to; index++) {
    const own = hashes[index] ?? 0;
    const before = index > 0 ? (hashes[index - 1] ?? 0) : 1;
    features[count++] = of(WORD_KIND, mix(own, 0x51));
    features[count++] = of(2, pair(before, own, 0x52));
    if (index > 0) {
      const second = index > 1 ? (hashes[index - 2] ?? 0) : 1;
      features[count++] = of(3, mix(pair(second, before, 0x53) ^ own, 0x53));
      features[count++] = of(4, pair(second, own, 0x54));
      if (index > 2) features[count++] = of(5, pair(hashes[index - 3] ?? 0, own, 0x55));
    }
    const meaning = fine[index] ?? 0;
    features[count++] = of(7, mix(meaning, 0x57));
    if (index > 0) {
      features[count++] = of(8, pair(fine[index - 1] ?? 0, meaning, 0x58));
      if (index > 1) {
        features[count++] = of(9, pair(fine[index - 2] ?? 0, meaning, 0x59));
        features[count++] = of(
          10,
          mix(pair(coarse[index - 2] ?? 0, coarse[index - 1] ?? 0, 0x5a) ^ (coarse[index] ?? 0), 0x5a),
        );
        if (index > 2) features[count++] = of(11, pair(coarse[index - 3] ?? 0, coarse[index] ?? 0, 0x5b));
      }
    }
    if (kept !== null) {
      features[count++] = of(12, mix(own, 0x5c));
      features[count++] = of(13, pair(before, own, 0x5d));
      const is = kept[index] ?? 0;
      const was = index > 0 ? (kept[index - 1] ?? 0) : 0;
      if (is !== 0) {
        features[count++] = of(14, mix(is, 0x5e));
        features[count++] = of(15, pair(before, is, 0x5f));
        features[count++] = of(15, pair(index > 1 ? (hashes[index - 2] ?? 0) : 1, is, 0x61));
      }
      if (was !== 0) features[count++] = of(15, pair(was, own, 0x60));
    }
    const prefix = tokens.prefixes[index] ?? 0;
    if (prefix !== 0) features[count++] = of(6, mix(prefix, 0x56));
  }
  return features.slice(0, count);
}

/** 2 for a word that is kept, 1 for one of like meaning. */
function keptness(guarded: GuardedWords, hash: number, fine: number): number {
  if (guarded.words.has(hash)) return 2;
  return guarded.classes.has(fine) ? 1 : 0;
}

/** Rows of up to so many tokens over and over are cut after the third time: a word a thousand times overrides nothing. */
const MAX_PERIOD = 4;

function withoutRepetition(tokens: Tokens): Tokens {
  const { count: all, words } = tokens;
  const kept = new Int32Array(all);
  let count = 0;
  for (let index = 0; index < all; index++) if (!repeatsAny(words, index)) kept[count++] = index;
  if (count === all) return tokens;
  const picked = (column: Int32Array) => {
    for (let index = 0; index < count; index++) column[index] = column[kept[index] ?? 0] ?? 0;
    return column;
  };
  return {
    count,
    starts: picked(tokens.starts),
    ends: picked(tokens.ends),
    words: picked(words),
    prefixes: picked(tokens.prefixes),
  };
}

function repeatsAny(words: Int32Array, index: number): boolean {
  for (let period = 1; period <= MAX_PERIOD; period++) if (repeats(words, index, period)) return true;
  return false;
}

/** Whether the token ends the third repetition, or a later one, of the `period` tokens before it. */
function repeats(words: Int32Array, index: number, period: number): boolean {
  if (index < 4 * period - 1) return false;
  for (let back = 0; back < 3 * period; back++) {
    if (words[index - back] !== words[index - back - period]) return false;
  }
  return true;
}
