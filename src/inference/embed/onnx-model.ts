import * as ort from 'onnxruntime-node';
import { type ModelManifest, readModelFile, readModelManifest } from '#inference/embed/model-manifest.ts';
import { loadTextTokenizer } from '#inference/embed/text-tokenizer.ts';

export type OnnxModel = {
  embed(texts: readonly string[]): Promise<Float32Array<ArrayBuffer>[]>;
  release(): Promise<void>;
};

/** Loads a model directory. `embed` blocks its thread while the model runs: it belongs in a worker. */
export async function loadOnnxModel(modelDirectory: string): Promise<OnnxModel> {
  const manifest = await readModelManifest(modelDirectory);
  const tokenizer = await loadTextTokenizer(modelDirectory, manifest);
  const bytes = await readModelFile(modelDirectory, manifest, 'model.onnx');
  const session = await ort.InferenceSession.create(bytes, {
    // Several threads on one sentence wait for each other more than they work: two threads with a sentence each
    // embed nearly twice as many as two that share every one (measured on two cores).
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  // Exports by other tools have this input; ours has the single segment built in.
  const hasTokenTypes = session.inputNames.includes('token_type_ids');
  const tensor = (values: BigInt64Array): ort.Tensor => new ort.Tensor('int64', values, [1, values.length]);

  const embedOne = async (text: string): Promise<Float32Array<ArrayBuffer>> => {
    const ids = BigInt64Array.from(tokenizer.encode(text, manifest.max_tokens), BigInt);
    const outputs = await session.run({
      input_ids: tensor(ids),
      attention_mask: tensor(new BigInt64Array(ids.length).fill(1n)),
      ...(hasTokenTypes ? { token_type_ids: tensor(new BigInt64Array(ids.length)) } : {}),
    });
    const data = outputs.last_hidden_state?.data;
    if (!(data instanceof Float32Array) || data.length !== ids.length * manifest.dimensions) {
      throw new Error('The embedding model gave no last_hidden_state of the expected shape.');
    }
    return poolTokens(data, manifest);
  };

  return {
    /**
     * One text a run of the model, never several side by side: int8 activations are scaled by what is in the
     * run, so a neighbour would change a text's vector. It would save little: one passage fills a core.
     */
    async embed(texts) {
      const vectors: Float32Array<ArrayBuffer>[] = [];
      for (const text of texts) vectors.push(await embedOne(text));
      return vectors;
    },
    release: () => session.release(),
  };
}

/** One unit vector from a text's token vectors: their mean, or the first one. */
function poolTokens(tokens: Float32Array, { pooling, dimensions }: ModelManifest): Float32Array<ArrayBuffer> {
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
