import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PiiTagger } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';
import { decodeTagger } from '#router/guardrails/detectors/pii/tagger/tagger-file.ts';
import type { PromptGuard } from '#router/guardrails/prompt-guard/prompt-guard-model.ts';
import { decodeWeights } from '#router/guardrails/prompt-guard/weights-file.ts';
import { decodeWordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** `src/` and `dist/` lie at the same depth, so the way up is the same from both. */
const SHIPPED_MODELS = join(import.meta.dirname, '..', '..', '..', 'models');

export type GuardrailModels = Readonly<{ promptGuard: PromptGuard; piiTagger: PiiTagger }>;

/** Reads the models that come with the repository, about 4 MB. Throws where a file is missing or not what it should be. */
export async function loadGuardrailModels(directory: string = SHIPPED_MODELS): Promise<GuardrailModels> {
  const [classBytes, guardBytes, taggerBytes] = await Promise.all([
    readFile(join(directory, 'prompt-guard', 'word-classes.bin')),
    readFile(join(directory, 'prompt-guard', 'weights.bin')),
    readFile(join(directory, 'pii-tagger', 'weights.bin')),
  ]);
  const classes = decodeWordClasses(classBytes);
  return {
    promptGuard: { weights: decodeWeights(guardBytes), classes },
    piiTagger: { ...decodeTagger(taggerBytes), classes },
  };
}
