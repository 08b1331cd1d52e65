import type { Embedder } from '#inference/embed/embedder.ts';

/** Passages in one call: enough to keep the model busy, few enough to report progress and stop soon. */
const BATCH = 32;

export type EmbeddedTexts = { vectors: Float32Array[]; reused: number };

/**
 * One vector a text, in order. Texts whose vector is known by hash, and repeated ones, are not embedded again.
 * `onProgress` is told of texts done, and awaited.
 */
export async function embedTexts(options: {
  embedder: Embedder;
  tenantId: string;
  texts: readonly string[];
  hashes: readonly string[];
  known: ReadonlyMap<string, Float32Array>;
  signal: AbortSignal;
  onProgress(done: number): Promise<void>;
}): Promise<EmbeddedTexts> {
  const { embedder, tenantId, texts, hashes, known, signal, onProgress } = options;
  const vectorOf = new Map(known);
  const missing = new Map<string, string>();
  for (const [i, text] of texts.entries()) {
    const hash = hashes[i] ?? '';
    if (!vectorOf.has(hash)) missing.set(hash, text);
  }
  const wanted = [...missing];
  const reused = texts.length - wanted.length;
  await onProgress(reused);
  for (let from = 0; from < wanted.length; from += BATCH) {
    signal.throwIfAborted();
    const batch = wanted.slice(from, from + BATCH);
    const vectors = await embedder.embedPassages(
      batch.map(([, text]) => text),
      signal,
      { tenantId },
    );
    for (const [i, [hash]] of batch.entries()) {
      const vector = vectors[i];
      if (vector === undefined) throw new Error('The embedder returned too few vectors.');
      vectorOf.set(hash, vector);
    }
    await onProgress(reused + Math.min(from + BATCH, wanted.length));
  }
  const vectors = hashes.map((hash) => {
    const vector = vectorOf.get(hash);
    if (vector === undefined) throw new Error('A text was not embedded.');
    return vector;
  });
  return { vectors, reused };
}
