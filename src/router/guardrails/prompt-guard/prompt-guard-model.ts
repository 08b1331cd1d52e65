import {
  type FeatureBlocks,
  featureBlocksInSteps,
  featureBlocksOf,
  WORD_KIND,
} from '#router/guardrails/prompt-guard/features.ts';
import { addPackedRows } from '#router/guardrails/prompt-guard/packed-rows.ts';
import { isStep, LONG_TEXT } from '#router/guardrails/prompt-guard/steps.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/**
 * A hashed linear model with a small hidden layer beside it, which lets words weigh differently in company: int8
 * weights, one scale a layer. Feature values are one over the square root of the window’s feature count.
 */
export type PromptGuardWeights = Readonly<{
  /** One weight a feature, `2^linearBits` of them. Floating point only in training. */
  linear: Int8Array | Float32Array;
  linearScale: number;
  /** `hidden` weights a feature, `2^hiddenBits` rows. */
  embedding: Int8Array | Float32Array;
  /** The same as `addPackedRows` takes it; null in training, and for other numbers of hidden units. */
  packed: Uint32Array | null;
  embeddingScale: number;
  hidden: number;
  hiddenBias: Float32Array;
  output: Float32Array;
  bias: number;
}>;

/** The model and the classes that its features are made with. */
export type PromptGuard = Readonly<{ weights: PromptGuardWeights; classes: WordClasses }>;

/** The most attack-like window of a text. */
export type PromptGuardScore = Readonly<{
  /** Log-odds of an attack; above 0 is more likely one than not, under the training mix. */
  score: number;
  start: number;
  end: number;
  /** How many windows it is the worst of. */
  windows: number;
  /** Different words of a text that is one block; null for a longer one. */
  words: number | null;
}>;

/** Scores folded text; see `features.ts` for what it looks at. */
export function scoreText({ weights, classes }: PromptGuard, folded: string): PromptGuardScore | null {
  const blocks = featureBlocksOf(folded, classes);
  return isTooShort(blocks) ? null : toScore(blocks, worstWindow(weights, blocks));
}

/** As {@link scoreText}; of a long text, others have their turn now and then. */
export function* scoreTextInSteps(
  guard: PromptGuard,
  folded: string,
): Generator<void, PromptGuardScore | null> {
  if (folded.length < LONG_TEXT) return scoreText(guard, folded);
  const blocks = yield* featureBlocksInSteps(folded, guard.classes);
  if (isTooShort(blocks)) return null;
  const sums = newSums(guard.weights, blocks);
  for (let index = 0; index < blocks.length; index++) {
    if (isStep(index)) yield;
    addBlock(guard.weights, blocks, sums, index);
  }
  return toScore(blocks, worstOf(guard.weights, blocks, sums));
}

function toScore(blocks: FeatureBlocks, worst: WorstWindow | null): PromptGuardScore | null {
  if (worst === null) return null;
  const { score, from, to, windows } = worst;
  return {
    score,
    start: blocks[from]?.start ?? 0,
    end: blocks[to - 1]?.end ?? 0,
    windows,
    words: wordsOf(blocks),
  };
}

const wordsOf = (blocks: FeatureBlocks): number | null =>
  blocks.length === 1 ? distinctWords(blocks[0]?.features) : null;

function isTooShort(blocks: FeatureBlocks): boolean {
  const words = wordsOf(blocks);
  return words !== null && words < MIN_WORDS;
}

/** Fewer words give no order, and the model has seen too few such texts to tell. */
const MIN_WORDS = 3;

function distinctWords(features: Uint32Array = new Uint32Array()): number {
  return new Set(features.filter((feature) => feature >>> 28 === WORD_KIND)).size;
}

const MIN_TAIL_FEATURES = 40;

/** Blocks a window: a short order in a long text, and an attack that takes a paragraph to unfold, each fill a window. */
export const WINDOW_BLOCKS = [1, 2, 4] as const;

/** The most attack-like window, as a half-open range of blocks. Each block is summed once, each window adds sums. */
export function worstWindow(weights: PromptGuardWeights, blocks: FeatureBlocks): WorstWindow | null {
  const sums = newSums(weights, blocks);
  for (let index = 0; index < blocks.length; index++) addBlock(weights, blocks, sums, index);
  return worstOf(weights, blocks, sums);
}

type WorstWindow = Readonly<{ score: number; from: number; to: number; windows: number }>;

/** Running totals: the sum of blocks i to j is one subtraction. */
type Sums = Readonly<{ totals: Float64Array; counts: Uint32Array }>;

const newSums = ({ hidden }: PromptGuardWeights, { length }: FeatureBlocks): Sums => ({
  totals: new Float64Array((length + 1) * (hidden + 1)),
  counts: new Uint32Array(length + 1),
});

/** The totals after a block are those before it and its own. */
function addBlock(
  weights: PromptGuardWeights,
  blocks: FeatureBlocks,
  { totals, counts }: Sums,
  index: number,
): void {
  const features = blocks[index]?.features ?? new Uint32Array();
  const sums = sumBlock(weights, features);
  const units = sums.length;
  for (let unit = 0; unit < units; unit++) {
    totals[(index + 1) * units + unit] = (totals[index * units + unit] ?? 0) + (sums[unit] ?? 0);
  }
  counts[index + 1] = (counts[index] ?? 0) + features.length;
}

function worstOf(
  weights: PromptGuardWeights,
  blocks: FeatureBlocks,
  { totals, counts }: Sums,
): WorstWindow | null {
  const units = weights.hidden + 1;
  let worst = Number.NEGATIVE_INFINITY;
  let [worstFrom, worstTo, windows] = [0, 0, 0];
  const window = new Float64Array(units);
  for (const size of WINDOW_BLOCKS) {
    for (let from = 0; from + size <= blocks.length; from++) {
      if (isTail(blocks, size, from)) continue;
      windows++;
      const to = from + size;
      for (let unit = 0; unit < units; unit++) {
        window[unit] = (totals[to * units + unit] ?? 0) - (totals[from * units + unit] ?? 0);
      }
      const score = logit(weights, window, (counts[to] ?? 0) - (counts[from] ?? 0));
      if (score <= worst) continue;
      worst = score;
      worstFrom = from;
      worstTo = to;
    }
  }
  return windows === 0 ? null : { score: worst, from: worstFrom, to: worstTo, windows };
}

/** Every window as a half-open range of blocks; a text shorter than a window is one window. */
export function windowsOf(blocks: FeatureBlocks): [from: number, to: number][] {
  const windows: [number, number][] = [];
  for (const size of WINDOW_BLOCKS) {
    for (let from = 0; from + size <= blocks.length; from++) {
      if (!isTail(blocks, size, from)) windows.push([from, from + size]);
    }
  }
  return windows;
}

/** A short last block alone lacks what came before it. */
const isTail = (blocks: FeatureBlocks, size: number, from: number): boolean =>
  size === 1 && from > 0 && (blocks[from]?.features.length ?? 0) < MIN_TAIL_FEATURES;

/** Sums of the hidden layer’s inputs, then the linear sum. */
function sumBlock(weights: PromptGuardWeights, features: Uint32Array): Float64Array {
  const { linear, packed, hidden } = weights;
  const linearMask = linear.length - 1;
  const sums = new Float64Array(hidden + 1);
  let linearSum = 0;
  for (let index = 0; index < features.length; index++)
    linearSum += linear[(features[index] ?? 0) & linearMask] ?? 0;
  if (packed === null) sumRows(weights, features, sums);
  else addPackedRows(packed, features, sums);
  for (let unit = 0; unit < hidden; unit++) sums[unit] = (sums[unit] ?? 0) * weights.embeddingScale;
  sums[hidden] = linearSum * weights.linearScale;
  return sums;
}

function sumRows({ embedding, hidden }: PromptGuardWeights, features: Uint32Array, sums: Float64Array): void {
  const rowMask = embedding.length / hidden - 1;
  for (let index = 0; index < features.length; index++) {
    const row = ((features[index] ?? 0) & rowMask) * hidden;
    for (let unit = 0; unit < hidden; unit++) sums[unit] = (sums[unit] ?? 0) + (embedding[row + unit] ?? 0);
  }
}

function logit(weights: PromptGuardWeights, sums: Float64Array, count: number): number {
  const value = 1 / Math.sqrt(Math.max(1, count));
  let score = weights.bias + (sums[weights.hidden] ?? 0) * value;
  for (let unit = 0; unit < weights.hidden; unit++) {
    const input = (weights.hiddenBias[unit] ?? 0) + (sums[unit] ?? 0) * value;
    if (input > 0) score += input * (weights.output[unit] ?? 0);
  }
  return score;
}
