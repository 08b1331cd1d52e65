import { cp, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Embedder } from '#inference/embed/embedder.ts';
import { ModelFilesError } from '#inference/embed/model-manifest.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';

let embedder: Embedder;
beforeAll(async () => {
  embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY });
});
afterAll(() => embedder.close());

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

describe('vectors', () => {
  test('are unit vectors of the stated length', async () => {
    const vector = await embedder.embedQuery('How do hooks work?');
    expect(vector).toHaveLength(embedder.dimensions);
    expect(dot(vector, vector)).toBeCloseTo(1, 5);
  });

  test('put a question nearer to its answer than to other text', async () => {
    const query = await embedder.embedQuery('How long do cats sleep?');
    const [cats, hooks] = await embedder.embedPassages([
      'A cat sleeps between twelve and sixteen hours a day.',
      'The onRequest hook runs before the body is parsed.',
    ]);
    if (cats === undefined || hooks === undefined) throw new Error('two vectors were expected');
    expect(dot(query, cats)).toBeGreaterThan(0.5);
    expect(dot(query, hooks)).toBeLessThan(0.2);
  });

  test('are in the order of their texts, and depend on no other text', async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `${'word '.repeat((i * 7) % 23)}number ${i}`);
    const together = await embedder.embedPassages(texts);
    for (const [i, text] of texts.entries()) {
      const [alone] = await embedder.embedPassages([text]);
      const other = together[i];
      if (alone === undefined || other === undefined) throw new Error('a vector is missing');
      expect(other).toEqual(alone);
    }
  });

  test.each([
    ['nothing', ''],
    ['spaces', ' \n\t '],
    ['a lone surrogate', 'half \ud83d of a pair'],
    ['control characters', 'a\u0000b\u0007c'],
    ['one very long word', 'x'.repeat(100_000)],
    ['a text over the limit', 'many words '.repeat(20_000)],
    ['emoji and CJK', '👩‍👩‍👧‍👦 你好世界 𠀀'],
  ])('exist for %s', async (_name, text) => {
    const [vector] = await embedder.embedPassages([text]);
    expect(vector?.every(Number.isFinite)).toBe(true);
  });

  test('of no texts are none', async () => {
    expect(await embedder.embedPassages([])).toEqual([]);
  });
});

describe('cancelling', () => {
  test('before the call rejects with the signal’s reason', async () => {
    const reason = new Error('left');
    await expect(embedder.embedQuery('x', AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test('during a long job ends it and leaves the embedder usable', async () => {
    const controller = new AbortController();
    const job = embedder.embedPassages(
      Array.from({ length: 500 }, (_, i) => `${'text '.repeat(200)}${i}`),
      controller.signal,
    );
    await embedder.embedQuery('goes ahead of the job');
    controller.abort();
    await expect(job).rejects.toThrow(/abort/i);
    await expect(embedder.embedQuery('still here')).resolves.toHaveLength(embedder.dimensions);
  });
});

describe('a closed embedder', () => {
  test('ends what is under way and refuses more', async () => {
    const closing = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY, threads: 1 });
    const job = closing.embedPassages(Array.from({ length: 50 }, () => 'text '.repeat(200)));
    const rejected = expect(job).rejects.toMatchObject({ code: 'shutting_down' });
    await closing.close();
    await rejected;
    await expect(closing.embedQuery('x')).rejects.toMatchObject({ code: 'shutting_down' });
  });
});

describe('model files', () => {
  const directories: string[] = [];
  afterAll(() => Promise.all(directories.map((path) => rm(path, { recursive: true, force: true }))));

  const copyOfModel = async (): Promise<string> => {
    const directory = await mkdtemp(join(tmpdir(), 'bulkhead-model-'));
    directories.push(directory);
    await cp(SHIPPED_MODEL_DIRECTORY, directory, { recursive: true });
    return directory;
  };

  test('that are missing are named', async () => {
    const directory = await copyOfModel();
    await rm(join(directory, 'model.onnx'));
    await expect(createOnnxEmbedder({ modelDirectory: directory })).rejects.toThrow(
      /model\.onnx cannot be read/,
    );
  });

  test('that are cut are refused', async () => {
    const directory = await copyOfModel();
    await truncate(join(directory, 'model.onnx'), 1_000);
    const creating = createOnnxEmbedder({ modelDirectory: directory });
    await expect(creating).rejects.toThrow(ModelFilesError);
    await expect(creating).rejects.toThrow(/has 1000 bytes/);
  });

  test('of another content are refused', async () => {
    const directory = await copyOfModel();
    const path = join(directory, 'tokenizer.json');
    const size = 466_247;
    await writeFile(path, Buffer.alloc(size, ' '));
    await expect(createOnnxEmbedder({ modelDirectory: directory })).rejects.toThrow(/SHA-256/);
  });

  test('without a manifest are refused', async () => {
    await expect(createOnnxEmbedder({ modelDirectory: tmpdir() })).rejects.toThrow(/manifest\.json/);
  });
});
