import { readFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { readModelManifest } from '#inference/embed/model-manifest.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { loadTextTokenizer, type TextTokenizer } from '#inference/embed/text-tokenizer.ts';

const referenceSchema = z.object({
  cases: z.array(z.object({ text: z.string(), ids: z.array(z.int()) })).min(200),
});

let tokenizer: TextTokenizer;
beforeAll(async () => {
  const manifest = await readModelManifest(SHIPPED_MODEL_DIRECTORY);
  tokenizer = await loadTextTokenizer(SHIPPED_MODEL_DIRECTORY, manifest);
});

test('gives the ids of the reference tokenizer: scripts, accents, emoji, controls, long words, noise', async () => {
  const path = new URL('fixtures/tokenizer-reference.json', import.meta.url);
  const { cases } = referenceSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  for (const { text, ids } of cases) {
    expect(tokenizer.encode(text, 10_000), JSON.stringify(text)).toEqual(ids);
    expect(tokenizer.countTokens(text)).toBe(ids.length - 2);
  }
});

test('cuts long texts and keeps the closing token', () => {
  const whole = tokenizer.encode('one two three four five', 100);
  const cut = tokenizer.encode('one two three four five', 4);
  expect(cut).toEqual([...whole.slice(0, 3), whole.at(-1)]);
});

test('drops lone surrogates', () => {
  expect(tokenizer.encode('a \ud800 b', 10)).toEqual(tokenizer.encode('a  b', 10));
});
