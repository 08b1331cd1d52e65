import { type PiiToken, shapeOf } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { hashOf, mix, pair } from '#router/guardrails/prompt-guard/hash.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** Hashed features of each token: itself, its form, its beginning and end, and its neighbours. */
export function piiFeaturesOf(tokens: readonly PiiToken[], classes: WordClasses): Uint32Array[] {
  const lower = tokens.map(({ text }) => text.toLowerCase());
  const words = lower.map((word) => (/^\d/.test(word) ? hashOf(`0${word.length}`) : hashOf(word)));
  const shapes = tokens.map(({ text }) => hashOf(shapeOf(text)));
  const fine = words.map((word) => classes.fineOf(word));
  const coarse = words.map((word) => classes.coarseOf(word));
  const at = (list: readonly number[], index: number): number => list[index] ?? 7;
  return tokens.map((token, index) => {
    const word = at(words, index);
    const shape = at(shapes, index);
    const text = lower[index] ?? '';
    const last = text.slice(-3);
    return Uint32Array.of(
      mix(word, 1),
      pair(word, shape, 2),
      pair(shape, at(shapes, index - 1), 3),
      pair(shape, at(shapes, index + 1), 4),
      mix(at(words, index - 1), 5),
      mix(at(words, index + 1), 6),
      mix(at(words, index - 2), 7),
      mix(at(words, index + 2), 8),
      pair(at(words, index - 1), word, 9),
      pair(word, at(words, index + 1), 10),
      pair(at(words, index - 1), shape, 11),
      pair(at(words, index + 1), shape, 12),
      pair(hashOf(last), shape, 13),
      pair(hashOf(text.slice(-4)), shape, 14),
      pair(hashOf(text.slice(0, 3)), shape, 15),
      pair(hashOf(text.slice(-2)), shape, 16),
      mix(at(fine, index), 17),
      pair(at(coarse, index), shape, 18),
      mix(at(fine, index - 1), 19),
      mix(at(fine, index + 1), 20),
      pair(at(coarse, index - 2), at(coarse, index - 1), 21),
      pair(pair(at(shapes, index - 2), at(shapes, index - 1), 22), shape, 22),
      pair(pair(at(shapes, index + 1), at(shapes, index + 2), 23), shape, 23),
      pair(at(words, index - 2), at(words, index - 1), 24),
      pair(at(words, index + 1), at(words, index + 2), 25),
      pair(pair(at(shapes, index - 1), shape, 26), at(shapes, index + 1), 26),
      pair(at(words, index - 3), shape, 27),
      pair(at(words, index + 3), shape, 28),
      pair(token.text.length, shape, 29),
    );
  });
}
