import { expect, test } from 'vitest';
import {
  decodeGazetteer,
  encodeGazetteer,
  withNextWord,
} from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
import { hashOf } from '#router/guardrails/prompt-guard/hash.ts';

test('lists are read as they were written', () => {
  const entries = new Map(
    Array.from({ length: 5_000 }, (_, index) => [hashOf(`name ${index}`), 1 + (index % 4_095)]),
  );
  entries.set(withNextWord(hashOf('new'), hashOf('york')), 4);
  const { find } = decodeGazetteer(encodeGazetteer(entries));
  for (const [hash, bits] of entries) expect(find(hash)).toBe(bits);
  expect(find(hashOf('nobody'))).toBe(0);
  expect(find(withNextWord(hashOf('york'), hashOf('new')))).toBe(0);
});

test('what is cut short is no gazetteer', () => {
  const bytes = encodeGazetteer(new Map([[1, 2]]));
  expect(() => decodeGazetteer(bytes.subarray(0, bytes.length - 1))).toThrow(/cut short/);
  expect(() => decodeGazetteer(new Uint8Array(2))).toThrow(/cut short/);
});
