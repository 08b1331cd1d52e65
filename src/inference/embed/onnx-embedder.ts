import { availableParallelism } from 'node:os';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { Embedder, EmbedOptions } from '#inference/embed/embedder.ts';
import { createEmbeddingQueue } from '#inference/embed/embedding-queue.ts';
import { readModelManifest } from '#inference/embed/model-manifest.ts';
import { startOnnxThread } from '#inference/embed/onnx-thread.ts';
import { loadTextTokenizer } from '#inference/embed/text-tokenizer.ts';

export type OnnxEmbedderOptions = Readonly<{
  /** A directory with `manifest.json`, `model.onnx` and `tokenizer.json`. */
  modelDirectory: string;
  /**
   * Threads that embed side by side, each with the model in about 60 MB of its own. Default: the machine's cores,
   * at most 2.
   */
  threads?: number;
}>;

/**
 * The local embedding model, in threads of its own. Queries and urgent passages are run ahead of passages
 * that are being indexed. Throws a ModelFilesError when the model's files are missing or not the expected ones.
 *
 * @example
 * const embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY });
 * const [passage] = await embedder.embedPassages(['Hooks run in the order they were added.']);
 * const query = await embedder.embedQuery('in which order do hooks run?');
 */
export async function createOnnxEmbedder({
  modelDirectory,
  threads = Math.min(2, availableParallelism()),
}: OnnxEmbedderOptions): Promise<Embedder> {
  const manifest = await readModelManifest(modelDirectory);
  const tokenizer = await loadTextTokenizer(modelDirectory, manifest);
  const started = await Promise.allSettled(
    Array.from({ length: Math.max(1, threads) }, () => startOnnxThread({ modelDirectory })),
  );
  const running = started.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const failed = started.find((start) => start.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(running.map((thread) => thread.close()));
    throw failed.reason;
  }
  const queue = createEmbeddingQueue(running.map((thread) => thread.embed));

  const submit = async (
    texts: readonly string[],
    { urgent = false, tenantId = '' }: EmbedOptions,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]> => {
    try {
      return await queue.submit(texts, { urgent, tenantId }, signal);
    } catch (error) {
      if (signal?.aborted || error instanceof BulkheadError) throw error;
      throw new BulkheadError('service_unavailable', 'The embedding model failed.', { cause: error });
    }
  };

  return {
    id: manifest.id,
    dimensions: manifest.dimensions,
    maxTokens: manifest.max_tokens,
    async embedQuery(text, signal, options) {
      const [vector] = await submit([manifest.query_prefix + text], { ...options, urgent: true }, signal);
      if (vector === undefined) throw new BulkheadError('internal_error', 'A query has no vector.');
      return vector;
    },
    embedPassages: (texts, signal, options) =>
      submit(
        texts.map((text) => manifest.passage_prefix + text),
        options ?? {},
        signal,
      ),
    countTokens: tokenizer.countTokens,
    async close() {
      await queue.close(new BulkheadError('shutting_down', 'The embedding model is closed.'));
      await Promise.all(running.map((thread) => thread.close()));
    },
  };
}
