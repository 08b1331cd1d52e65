import { expect, test } from 'vitest';
import { piiTokensOf, Shape } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { hashOf } from '#router/guardrails/prompt-guard/hash.ts';

const tokensOf = (text: string): string[] => {
  const { count, starts, ends } = piiTokensOf(text);
  return Array.from({ length: count }, (_, index) => text.slice(starts[index], ends[index]));
};

test.each([
  ["Mia's dog, O'Brien’s cat", ['Mia', 'dog', ',', 'O’Brien'.replace('’', "'"), 'cat']],
  ['don’t\nstop', ['don’t', '\n', 'stop']],
  ['4b, 12-34', ['4', 'b', ',', '12', '-', '34']],
  ['Zoë 🙂 Łukasz', ['Zoë', '🙂', 'Łukasz']],
  ['e\u0301te\u0301', ['e\u0301te\u0301']],
  ['', []],
])('%j', (text, expected) => {
  expect(tokensOf(text)).toEqual(expected);
});

test('words are hashed in lower case, numbers by their length', () => {
  const { words, shapes, glued, last3 } = piiTokensOf('Łukasz ŁUKASZ 12 98 a');
  expect((words[0] ?? 0) >>> 0).toBe(hashOf('łukasz'));
  expect(words[1]).toBe(words[0]);
  expect(words[2]).toBe(words[3]);
  expect((last3[0] ?? 0) >>> 0).toBe(hashOf('asz'));
  expect([...shapes.subarray(0, 2)]).toEqual([Shape.capital, Shape.allCapitals]);
  expect([...glued]).toEqual([0, 0, 0, 0, 0]);
});

test('a word without end is cut, and every character is passed once', () => {
  const { count, ends } = piiTokensOf('x'.repeat(100_000));
  expect(count).toBe(1);
  expect(ends[0]).toBe(40);
  expect(piiTokensOf('. '.repeat(50_000)).count).toBe(50_000);
});
