import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashOf } from '#router/guardrails/prompt-guard/hash.ts';
import { tokensOf } from '#router/guardrails/prompt-guard/tokens.ts';

const SCRIPTS =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}';
const TOKEN = new RegExp(
  `[${SCRIPTS}]|[[\\p{L}\\p{M}]--[${SCRIPTS}]]+(?:['’]\\p{L}{1,3}(?!\\p{L}))?|[\\p{N}--[${SCRIPTS}]]+|\\n[\\n\\s]*|[^\\s\\p{L}\\p{M}\\p{N}]`,
  'gv',
);

/** What the tokens are by definition: the slow way. */
function definedTokens(text: string): { start: number; end: number; word: string }[] {
  const tokens: { start: number; end: number; word: string }[] = [];
  let previous = '';
  for (const match of text.matchAll(TOKEN)) {
    let [word] = match;
    if (word.startsWith('\n')) word = '\n';
    else if (/^[0-9]/.test(word)) word = `0${Math.min(word.length, 5)}`;
    else if (word.length > 32) word = word.slice(0, 32);
    else word = word.replace('’', "'");
    if (word === previous && word.length === 1 && !/\p{L}/u.test(word)) continue;
    previous = word;
    tokens.push({ start: match.index, end: match.index + match[0].length, word });
  }
  return tokens;
}

/** Columns as rows, the word and its beginning by their hashes. */
function tokenRows(text: string) {
  const { count, starts, ends, words, prefixes } = tokensOf(text);
  return Array.from({ length: count }, (_, index) => ({
    start: starts[index],
    end: ends[index],
    word: (words[index] ?? 0) >>> 0,
    prefix: (prefixes[index] ?? 0) >>> 0,
  }));
}

const hashed = ({ start, end, word }: { start: number; end: number; word: string }) => ({
  start,
  end,
  word: hashOf(word),
  prefix: word.length > 5 ? hashOf(word.slice(0, 5)) : 0,
});

test('words, numbers, signs and line ends, and one of each row of signs', () => {
  const text = "don’t pay 12345678 now!!! \n \n 漢字 rock'nrolled";
  expect(definedTokens(text).map(({ word }) => word)).toEqual([
    "don't",
    'pay',
    '05',
    'now',
    '!',
    '\n',
    '漢',
    '字',
    'rock',
    "'",
    'nrolled',
  ]);
  expect(tokenRows(text)).toEqual(definedTokens(text).map(hashed));
});

test('any text has the tokens of the definition', () => {
  const pieces = fc.oneof(
    fc.constantFrom(
      'a',
      'word',
      "'",
      '’',
      's',
      're',
      'é',
      '\u0301',
      '1',
      '22',
      '½',
      '٣',
      '\n',
      ' ',
      '\t',
      '\u00a0',
      '!',
    ),
    fc.constantFrom(
      '€',
      '漢',
      'ก',
      'ี',
      'カ',
      'ー',
      '〇',
      '႑',
      '𐐷',
      '𝟗',
      '😀',
      '\ud83d',
      '𠀀',
      'don’t',
      'x'.repeat(33),
    ),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
      const text = parts.join('');
      expect(tokenRows(text)).toEqual(definedTokens(text).map(hashed));
    }),
    { numRuns: 2_000 },
  );
});
