import { expect, test } from 'vitest';
import { stringifyStorable } from '#app/database/stringify-storable.ts';

test('leaves storable texts as they are, escapes among them', () => {
  const value = { model: 'a\\u0000 "b" \n 😀', tokens: 3, price: null };
  expect(stringifyStorable(value)).toBe(JSON.stringify(value));
});

test('replaces NUL and halves of surrogate pairs, however deep', () => {
  const json = stringifyStorable({ models: [{ name: 'a\0b' }, { name: 'c\ud800d\udc00' }] });
  expect(JSON.parse(json)).toEqual({ models: [{ name: 'a\uFFFDb' }, { name: 'c\uFFFDd\uFFFD' }] });
});
