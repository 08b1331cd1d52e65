/**
 * Makes the table of word classes: `node scripts/cluster-words.ts --packages <directory> --out <file>`. The words are
 * those of the embedding model's vocabulary and the common ones of the packaged texts; the classes are k-means clusters
 * of their vectors.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { encodeWordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';
import { pickOf, seededRandom } from './prompt-guard/grammar.ts';
import { readPackageTexts } from './prompt-guard/package-texts.ts';

const FINE = 1_000;
const COARSE = 200;
const ROUNDS = 8;
const LEAST_COUNT = 6;

const { values: options } = parseArgs({
  options: { packages: { type: 'string' }, out: { type: 'string' } },
});
if (options.packages === undefined || options.out === undefined)
  throw new Error('--packages and --out are needed');

const random = seededRandom(7);
const tokenizer = z
  .object({ model: z.object({ vocab: z.record(z.string(), z.number()) }) })
  .parse(JSON.parse(await readFile(join(SHIPPED_MODEL_DIRECTORY, 'tokenizer.json'), 'utf8')));
const words = new Set(Object.keys(tokenizer.model.vocab).filter((word) => /^[a-z]{2,}$/.test(word)));
const counts = new Map<string, number>();
for (const { text } of await readPackageTexts(options.packages)) {
  for (const [word] of text.toLowerCase().matchAll(/[a-z]{3,20}/g))
    counts.set(word, (counts.get(word) ?? 0) + 1);
}
for (const [word, count] of counts) if (count >= LEAST_COUNT) words.add(word);
const list = [...words].sort();

const embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY, threads: 1 });
const { dimensions } = embedder;
const vectors = new Float32Array(list.length * dimensions);
for (let at = 0; at < list.length; at += 256) {
  const batch = await embedder.embedPassages(list.slice(at, at + 256));
  for (const [index, vector] of batch.entries()) vectors.set(vector, (at + index) * dimensions);
  if (at % 4_096 === 0) console.error(`${at} of ${list.length} words`);
}
await embedder.close();

const fine = cluster(FINE);
const coarse = cluster(COARSE);
const rows = list.map((word, index) => ({
  word,
  fine: (fine[index] ?? 0) + 1,
  coarse: (coarse[index] ?? 0) + 1,
}));
await writeFile(options.out, encodeWordClasses(rows));
for (const sample of ['ignore', 'instructions', 'reveal', 'password', 'pretend']) {
  const at = list.indexOf(sample);
  console.error(
    sample,
    list
      .filter((_, index) => fine[index] === fine[at])
      .slice(0, 20)
      .join(' '),
  );
}

/** Spherical k-means. */
function cluster(size: number): Uint16Array {
  const centres = new Float32Array(size * dimensions);
  const order = list.map((_, index) => index);
  for (let centre = 0; centre < size; centre++) {
    const from = pickOf(order, random) * dimensions;
    centres.set(vectors.subarray(from, from + dimensions), centre * dimensions);
  }
  const assigned = new Uint16Array(list.length);
  for (let round = 0; round < ROUNDS; round++) {
    const sums = new Float32Array(size * dimensions);
    for (let index = 0; index < list.length; index++) {
      const vector = vectors.subarray(index * dimensions, (index + 1) * dimensions);
      let best = 0;
      let highest = Number.NEGATIVE_INFINITY;
      for (let centre = 0; centre < size; centre++) {
        let dot = 0;
        const from = centre * dimensions;
        for (let unit = 0; unit < dimensions; unit++)
          dot += (centres[from + unit] ?? 0) * (vector[unit] ?? 0);
        if (dot > highest) {
          highest = dot;
          best = centre;
        }
      }
      assigned[index] = best;
      for (let unit = 0; unit < dimensions; unit++) {
        sums[best * dimensions + unit] = (sums[best * dimensions + unit] ?? 0) + (vector[unit] ?? 0);
      }
    }
    for (let centre = 0; centre < size; centre++) {
      const sum = sums.subarray(centre * dimensions, (centre + 1) * dimensions);
      const length = Math.hypot(...sum);
      if (length > 0)
        centres.set(
          sum.map((value) => value / length),
          centre * dimensions,
        );
    }
    console.error(`${size} classes: round ${round + 1}`);
  }
  return assigned;
}
