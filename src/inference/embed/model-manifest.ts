import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const modelFileSchema = z.strictObject({
  bytes: z.int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** `manifest.json` of a model directory: how its vectors are made, and what its files must be. */
export const modelManifestSchema = z.strictObject({
  id: z.string().min(1),
  dimensions: z.int().positive(),
  /** Tokens of one text, the two special ones counted; the rest of a longer text is cut. */
  max_tokens: z.int().positive(),
  pooling: z.enum(['mean', 'cls']),
  query_prefix: z.string(),
  passage_prefix: z.string(),
  files: z.strictObject({ 'model.onnx': modelFileSchema, 'tokenizer.json': modelFileSchema }),
});
export type ModelManifest = Readonly<z.infer<typeof modelManifestSchema>>;
export type ModelFileName = keyof ModelManifest['files'];

/** A model directory that is missing, incomplete or not what its manifest says. Thrown at boot, for the operator. */
export class ModelFilesError extends Error {
  override readonly name = 'ModelFilesError';
}

/** Reads `manifest.json`; throws a ModelFilesError that names the file and what is wrong with it. */
export async function readModelManifest(modelDirectory: string): Promise<ModelManifest> {
  const path = join(modelDirectory, 'manifest.json');
  const text = (await readOrExplain(path)).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelFilesError(`${path} is not JSON.`, { cause });
  }
  const parsed = modelManifestSchema.safeParse(json);
  if (!parsed.success) {
    throw new ModelFilesError(`${path} is not valid:\n${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}

/**
 * The bytes of one file of the model, after comparing size and SHA-256 with the manifest. Hashing the largest
 * file takes tens of milliseconds, so it is done at every start: a half-fetched or swapped model would
 * otherwise give wrong vectors in silence.
 */
export async function readModelFile(
  modelDirectory: string,
  manifest: ModelManifest,
  name: ModelFileName,
): Promise<Uint8Array> {
  const path = join(modelDirectory, name);
  const expected = manifest.files[name];
  const bytes = await readOrExplain(path);
  if (bytes.byteLength !== expected.bytes) {
    throw new ModelFilesError(
      `${path} has ${bytes.byteLength} bytes where its manifest says ${expected.bytes}. Restore the file.`,
    );
  }
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== expected.sha256) {
    throw new ModelFilesError(
      `${path} has SHA-256 ${actual} where its manifest says ${expected.sha256}. Restore the file.`,
    );
  }
  return bytes;
}

async function readOrExplain(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ModelFilesError(`The embedding model’s file ${path} cannot be read. Is the clone complete?`, {
      cause,
    });
  }
}
