import { hashOf, mix, pair } from '#router/guardrails/prompt-guard/hash.ts';
import { tokensOf } from '#router/guardrails/prompt-guard/tokens.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** Windows are whole blocks: see `WINDOW_BLOCKS` of the model. */
export const BLOCK_TOKENS = 16;

/** Hashed features of a text, block by block, and where each block lies in the text. */
export type FeatureBlocks = readonly { features: Uint32Array; start: number; end: number }[];

const PREFIX_CHARACTERS = 5;

/** Kinds of feature: the top four bits of a feature, which the model does not read, tell the training which it is. */
export const FEATURE_KINDS = 11;
const of = (kind: number, hash: number): number => ((hash & 0x0fffffff) | (kind << 28)) >>> 0;

/**
 * Per token: the word, its beginning (for other forms of it, in other languages too), the pairs and triples that it
 * ends, and pairs with one or two words between; then much the same of the words’ classes. Hashes are 32 bits; the model takes them modulo its size.
 */
export function featureBlocksOf(folded: string, classes: WordClasses): FeatureBlocks {
  const tokens = tokensOf(folded);
  const hashes = tokens.map(({ token }) => hashOf(token));
  // A token without a class stands for itself.
  const fine = hashes.map((hash) => classes.fineOf(hash) || hash);
  const coarse = hashes.map((hash) => classes.coarseOf(hash) || hash);
  const blocks: { features: Uint32Array; start: number; end: number }[] = [];
  for (let from = 0; from < tokens.length; from += BLOCK_TOKENS) {
    const to = Math.min(tokens.length, from + BLOCK_TOKENS);
    const features = new Uint32Array((to - from) * 11);
    let count = 0;
    for (let index = from; index < to; index++) {
      const own = hashes[index] ?? 0;
      const before = index > 0 ? (hashes[index - 1] ?? 0) : 1;
      features[count++] = of(1, mix(own, 0x51));
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
      const word = tokens[index]?.token ?? '';
      if (word.length > PREFIX_CHARACTERS)
        features[count++] = of(6, mix(hashOf(word.slice(0, PREFIX_CHARACTERS)), 0x56));
    }
    blocks.push({
      features: features.slice(0, count),
      start: tokens[from]?.start ?? 0,
      end: tokens[to - 1]?.end ?? 0,
    });
  }
  return blocks;
}
