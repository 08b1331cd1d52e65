import * as ort from 'onnxruntime-node';
import { type ModelManifest, readModelFile, readModelManifest } from '#inference/embed/model-manifest.ts';
import { loadTextTokenizer } from '#inference/embed/text-tokenizer.ts';

export type OnnxModel = {
  embed(texts: readonly string[]): Promise<Float32Array<ArrayBuffer>[]>;
  release(): Promise<void>;
};

/** Loads a model directory. `embed` blocks its thread while the model runs: it belongs in a worker. */
export async function loadOnnxModel(modelDirectory: string, threads: number): Promise<OnnxModel> {
  const manifest = await readModelManifest(modelDirectory);
  const tokenizer = await loadTextTokenizer(modelDirectory, manifest);
  const bytes = await readModelFile(modelDirectory, manifest, 'model.onnx');
  const session = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // Between runs the threads sleep instead of spinning: the cores belong to the whole process.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  return {
    async embed(texts) {
      const { max_tokens } = manifest;
      const rows = texts.map((text) => tokenizer.encode(text, max_tokens));
      const width = Math.max(...rows.map((row) => row.length));
      const ids = new BigInt64Array(rows.length * width);
      const mask = new BigInt64Array(rows.length * width);
      for (const [r, row] of rows.entries()) {
        for (const [i, id] of row.entries()) {
          ids[r * width + i] = BigInt(id);
          mask[r * width + i] = 1n;
        }
      }
      const shape = [rows.length, width];
      const outputs = await session.run({
        input_ids: new ort.Tensor('int64', ids, shape),
        attention_mask: new ort.Tensor('int64', mask, shape),
        token_type_ids: new ort.Tensor('int64', new BigInt64Array(ids.length), shape),
      });
      const data = outputs.last_hidden_state?.data;
      if (!(data instanceof Float32Array) || data.length !== ids.length * manifest.dimensions) {
        throw new Error('The embedding model gave no last_hidden_state of the expected shape.');
      }
      return rows.map((row, r) => {
        const start = r * width * manifest.dimensions;
        return poolRow(data.subarray(start, start + row.length * manifest.dimensions), manifest);
      });
    },
    release: () => session.release(),
  };
}

/** One unit vector from a text's token vectors: their mean, or the first one. */
function poolRow(tokens: Float32Array, { pooling, dimensions }: ModelManifest): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(dimensions);
  const used = pooling === 'cls' ? tokens.subarray(0, dimensions) : tokens;
  for (let start = 0; start < used.length; start += dimensions) {
    for (let i = 0; i < dimensions; i++) vector[i] = (vector[i] ?? 0) + (used[start + i] ?? 0);
  }
  // The mean's divisor cancels out in the normalisation.
  const norm = Math.hypot(...vector);
  if (norm > 0) for (let i = 0; i < dimensions; i++) vector[i] = (vector[i] ?? 0) / norm;
  return vector;
}
