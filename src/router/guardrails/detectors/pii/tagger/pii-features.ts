import { type PiiToken, shapeOf } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { hashOf, mix, pair } from '#router/guardrails/prompt-guard/hash.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** Hashed features of each token: itself, its form, its beginning and end, and its neighbours. */
export function piiFeaturesOf(tokens: readonly PiiToken[], classes: WordClasses): Uint32Array[] {
  // Most words of a text are there more than once.
  const known = new Map<string, Word>();
  const words: Word[] = [];
  for (const { text } of tokens) {
    let word = known.get(text);
    if (word === undefined) {
      word = wordOf(text, classes);
      known.set(text, word);
    }
    words.push(word);
  }
  const at = (index: number): Word => words[index] ?? NO_WORD;
  return tokens.map((token, index) => {
    const own = at(index);
    const [before, after] = [at(index - 1), at(index + 1)];
    const [second, next] = [at(index - 2), at(index + 2)];
    const { word, shape } = own;
    return Uint32Array.of(
      mix(word, 1),
      pair(word, shape, 2),
      pair(shape, before.shape, 3),
      pair(shape, after.shape, 4),
      mix(before.word, 5),
      mix(after.word, 6),
      mix(second.word, 7),
      mix(next.word, 8),
      pair(before.word, word, 9),
      pair(word, after.word, 10),
      pair(before.word, shape, 11),
      pair(after.word, shape, 12),
      pair(own.last3, shape, 13),
      pair(own.last4, shape, 14),
      pair(own.first3, shape, 15),
      pair(own.last2, shape, 16),
      mix(own.fine, 17),
      pair(own.coarse, shape, 18),
      mix(before.fine, 19),
      mix(after.fine, 20),
      pair(second.coarse, before.coarse, 21),
      pair(pair(second.shape, before.shape, 22), shape, 22),
      pair(pair(after.shape, next.shape, 23), shape, 23),
      pair(second.word, before.word, 24),
      pair(after.word, next.word, 25),
      pair(pair(before.shape, shape, 26), after.shape, 26),
      pair(at(index - 3).word, shape, 27),
      pair(at(index + 3).word, shape, 28),
      pair(token.text.length, shape, 29),
    );
  });
}

/** What is taken of one word, hashed. */
type Word = Readonly<{
  word: number;
  shape: number;
  fine: number;
  coarse: number;
  first3: number;
  last2: number;
  last3: number;
  last4: number;
}>;

/** Before the first word, and after the last. */
const NO_WORD: Word = { word: 7, shape: 7, fine: 7, coarse: 7, first3: 7, last2: 7, last3: 7, last4: 7 };

function wordOf(text: string, classes: WordClasses): Word {
  const lower = text.toLowerCase();
  const word = /^\d/.test(lower) ? hashOf(`0${lower.length}`) : hashOf(lower);
  return {
    word,
    shape: hashOf(shapeOf(text)),
    fine: classes.fineOf(word),
    coarse: classes.coarseOf(word),
    first3: hashOf(lower.slice(0, 3)),
    last2: hashOf(lower.slice(-2)),
    last3: hashOf(lower.slice(-3)),
    last4: hashOf(lower.slice(-4)),
  };
}
