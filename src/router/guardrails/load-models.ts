import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { decodeGazetteer } from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
import { createPiiTagger, type PiiTagger } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';
import { decodeTagger } from '#router/guardrails/detectors/pii/tagger/tagger-file.ts';
import type { PromptGuard } from '#router/guardrails/prompt-guard/prompt-guard-model.ts';
import { decodeWeights } from '#router/guardrails/prompt-guard/weights-file.ts';
import { decodeWordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** `src/` and `dist/` lie at the same depth, so the way up is the same from both. */
export const SHIPPED_MODELS = join(import.meta.dirname, '..', '..', '..', 'models');

export type GuardrailModels = Readonly<{ promptGuard: PromptGuard; piiTagger: PiiTagger }>;

const manifestSchema = z.strictObject({
  id: z.string().min(1),
  files: z.record(
    z.string(),
    z.strictObject({ bytes: z.int().positive(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  ),
});

/**
 * Reads the models that come with the repository, about 6 MB. Throws where a file is missing or not what its manifest says:
 * a router with a swapped or cut file must not start.
 */
export async function loadGuardrailModels(directory: string = SHIPPED_MODELS): Promise<GuardrailModels> {
  const [guard, tagger] = await Promise.all([
    readModel(join(directory, 'prompt-guard')),
    readModel(join(directory, 'pii-tagger')),
  ]);
  const classes = decodeWordClasses(await guard('word-classes.bin'));
  return {
    promptGuard: { weights: decodeWeights(await guard('weights.bin')), classes },
    piiTagger: createPiiTagger(
      decodeTagger(await tagger('weights.bin')),
      classes,
      decodeGazetteer(await tagger('gazetteer.bin')),
    ),
  };
}

/** Reads a model’s manifest, and gives what reads its files. */
async function readModel(directory: string): Promise<(name: string) => Promise<Uint8Array>> {
  const path = join(directory, 'manifest.json');
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  return async (name) => {
    const bytes = await readFile(join(directory, name));
    const expected = manifest.files[name];
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (expected === undefined || bytes.length !== expected.bytes || sha256 !== expected.sha256) {
      throw new Error(`${join(directory, name)} is not the file that ${path} tells of. Restore it.`);
    }
    return bytes;
  };
}
