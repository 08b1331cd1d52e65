import { GAZETTEER_TYPES, type Gazetteer } from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
import {
  isBegin,
  kindOf,
  LABEL_COUNT,
  mayFollow,
  OUTSIDE,
} from '#router/guardrails/detectors/pii/tagger/labels.ts';
import {
  MAX_FEATURES,
  type PiiContext,
  piiContextOf,
  writePiiFeatures,
} from '#router/guardrails/detectors/pii/tagger/pii-features.ts';
import { piiTokensOf } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { isPlausible } from '#router/guardrails/detectors/pii/tagger/plausible.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** An averaged structured perceptron: one row of label weights a feature, and a weight for each pair of labels. */
export type TaggerWeights = Readonly<{
  /** Rows of {@link LABEL_COUNT} weights, a power of two of them. */
  weights: Int8Array;
  scale: number;
  /** `before * LABEL_COUNT + label`. */
  transitions: Float32Array;
}>;

export type PiiTagger = Readonly<{
  /** The weights, four to a number: see {@link createPiiTagger}. */
  packed: Uint32Array;
  scale: number;
  transitions: Float32Array;
  classes: WordClasses;
  gazetteer: Gazetteer;
}>;

/** Numbers of a row: {@link LABEL_COUNT} bytes, filled up. */
const ROW_NUMBERS = 6;
/** Numbers from one row to the next: none lies across two lines of the processor's cache, and the rows are what takes the time. */
const ROW_STRIDE = 8;
/** What is added to each weight, so that none is negative and sums of bytes never borrow from each other. */
const BIAS = 128;

/**
 * Packs the weights as they are summed: a feature's row is six reads and twelve additions, two labels at a time, instead of
 * twenty-one of each.
 */
export function createPiiTagger(
  { weights, scale, transitions }: TaggerWeights,
  classes: WordClasses,
  gazetteer: Gazetteer,
): PiiTagger {
  const rows = weights.length / LABEL_COUNT;
  const packed = new Uint32Array(rows * ROW_STRIDE);
  for (let row = 0; row < rows; row++) {
    for (let label = 0; label < LABEL_COUNT; label++) {
      const at = row * ROW_STRIDE + (label >> 2);
      const byte = (weights[row * LABEL_COUNT + label] ?? 0) + BIAS;
      packed[at] = (packed[at] ?? 0) | (byte << ((label & 3) * 8));
    }
  }
  return { packed, scale, transitions, classes, gazetteer };
}

export type Entity = Readonly<{ kind: NonNullable<ReturnType<typeof kindOf>>; start: number; end: number }>;

/** Names, places, organisations and the like, in order. */
export function tagEntities(tagger: PiiTagger, text: string): Entity[] {
  const tokens = piiTokensOf(text);
  const context = piiContextOf(tokens, tagger.classes, tagger.gazetteer);
  const labels = bestLabels(emissionsOf(tagger, context), tokens.count, tagger.transitions);
  const entities: Entity[] = [];
  let open: { kind: Entity['kind']; start: number; end: number; listed: number } | null = null;
  const close = () => {
    if (open === null) return;
    const { kind, start, end, listed } = open;
    if (isPlausible(kind, text, start, end, listed !== 0)) entities.push({ kind, start, end });
  };
  for (let index = 0; index < tokens.count; index++) {
    const label = labels[index] ?? OUTSIDE;
    const kind = kindOf(label);
    const end = tokens.ends[index] ?? 0;
    const listed = (context.alone[index] ?? 0) & PEOPLE;
    if (open !== null && kind === open.kind && !isBegin(label)) {
      open.end = end;
      open.listed |= listed;
      continue;
    }
    close();
    open = kind === null ? null : { kind, start: tokens.starts[index] ?? 0, end, listed };
  }
  close();
  return entities;
}

/** Lists of names of people. */
const PEOPLE = (1 << GAZETTEER_TYPES.indexOf('first_name')) | (1 << GAZETTEER_TYPES.indexOf('last_name'));

/** Every other byte, each with room for a sum of {@link MAX_FEATURES} bytes. */
const LANES = 0x00ff00ff;

/** Room that one text after another is tagged in: taken anew for each, it is what the garbage collector is busy with. */
let emissionRoom = new Float32Array(0);
let originRoom = new Uint8Array(0);
/** Longer texts take room of their own, and give it back. */
const MOST_KEPT_TOKENS = 16_384;

function roomForEmissions(count: number): Float32Array {
  const needed = count * LABEL_COUNT;
  if (count > MOST_KEPT_TOKENS) return new Float32Array(needed);
  if (emissionRoom.length < needed) emissionRoom = new Float32Array(needed * 2);
  return emissionRoom;
}

function roomForOrigins(count: number): Uint8Array {
  const needed = count * LABEL_COUNT;
  if (count > MOST_KEPT_TOKENS) return new Uint8Array(needed);
  if (originRoom.length < needed) originRoom = new Uint8Array(needed * 2);
  return originRoom;
}

/** What each label scores at each token by itself: `index * LABEL_COUNT + label`. */
function emissionsOf({ packed, scale }: PiiTagger, context: PiiContext): Float32Array {
  const { count } = context.tokens;
  const rowMask = packed.length / ROW_STRIDE - 1;
  const row = new Uint32Array(MAX_FEATURES);
  const sums = new Int32Array(ROW_NUMBERS * 2);
  const emissions = roomForEmissions(count);
  // Loops by index, sums in variables: this runs for every word, and calls or iterators would cost more than the sums.
  for (let index = 0; index < count; index++) {
    const features = writePiiFeatures(context, index, row);
    let a0 = 0;
    let b0 = 0;
    let a1 = 0;
    let b1 = 0;
    let a2 = 0;
    let b2 = 0;
    let a3 = 0;
    let b3 = 0;
    let a4 = 0;
    let b4 = 0;
    let a5 = 0;
    let b5 = 0;
    for (let place = 0; place < features; place++) {
      const at = ((row[place] ?? 0) & rowMask) * ROW_STRIDE;
      const n0 = packed[at] ?? 0;
      const n1 = packed[at + 1] ?? 0;
      const n2 = packed[at + 2] ?? 0;
      const n3 = packed[at + 3] ?? 0;
      const n4 = packed[at + 4] ?? 0;
      const n5 = packed[at + 5] ?? 0;
      a0 = (a0 + (n0 & LANES)) | 0;
      b0 = (b0 + ((n0 >>> 8) & LANES)) | 0;
      a1 = (a1 + (n1 & LANES)) | 0;
      b1 = (b1 + ((n1 >>> 8) & LANES)) | 0;
      a2 = (a2 + (n2 & LANES)) | 0;
      b2 = (b2 + ((n2 >>> 8) & LANES)) | 0;
      a3 = (a3 + (n3 & LANES)) | 0;
      b3 = (b3 + ((n3 >>> 8) & LANES)) | 0;
      a4 = (a4 + (n4 & LANES)) | 0;
      b4 = (b4 + ((n4 >>> 8) & LANES)) | 0;
      a5 = (a5 + (n5 & LANES)) | 0;
      b5 = (b5 + ((n5 >>> 8) & LANES)) | 0;
    }
    sums[0] = a0;
    sums[1] = b0;
    sums[2] = a1;
    sums[3] = b1;
    sums[4] = a2;
    sums[5] = b2;
    sums[6] = a3;
    sums[7] = b3;
    sums[8] = a4;
    sums[9] = b4;
    sums[10] = a5;
    sums[11] = b5;
    for (let label = 0; label < LABEL_COUNT; label++) {
      const pairSum = sums[(label >> 2) * 2 + (label & 1)] ?? 0;
      const sum = ((label & 2) === 0 ? pairSum : pairSum >>> 16) & 0xffff;
      emissions[index * LABEL_COUNT + label] = (sum - BIAS * features) * scale;
    }
  }
  return emissions;
}

/**
 * Viterbi: the labelling with the highest sum, among those in which inside follows its own kind. A label whose sum so far is
 * behind the best by more than transitions can make up is not tried as a predecessor: the result is the same.
 */
export function bestLabels(emissions: Float32Array, count: number, transitions: Float32Array): Uint8Array {
  const labels = new Uint8Array(count);
  if (count === 0) return labels;
  const cameFrom = roomForOrigins(count);
  let scores = new Float64Array(LABEL_COUNT);
  let next = new Float64Array(LABEL_COUNT);
  for (let label = 0; label < LABEL_COUNT; label++)
    scores[label] = mayFollow(OUTSIDE, label)
      ? (emissions[label] ?? 0) + (transitions[label] ?? 0)
      : Number.NEGATIVE_INFINITY;
  const reach = reachOf(transitions);
  const near = new Uint8Array(LABEL_COUNT);
  for (let index = 1; index < count; index++) {
    let highest = Number.NEGATIVE_INFINITY;
    for (let label = 0; label < LABEL_COUNT; label++) highest = Math.max(highest, scores[label] ?? 0);
    let nearCount = 0;
    for (let label = 0; label < LABEL_COUNT; label++)
      if ((scores[label] ?? 0) >= highest - reach) near[nearCount++] = label;
    for (let label = 0; label < LABEL_COUNT; label++) {
      let best = Number.NEGATIVE_INFINITY;
      let from = 0;
      // Inside follows two labels at most; any other may follow all.
      const inside = label !== OUTSIDE && !isBegin(label);
      const tried = inside ? 2 : nearCount;
      for (let place = 0; place < tried; place++) {
        const before = inside ? label - 1 + place : (near[place] ?? 0);
        const score = (scores[before] ?? 0) + (transitions[before * LABEL_COUNT + label] ?? 0);
        if (score <= best) continue;
        best = score;
        from = before;
      }
      next[label] = best + (emissions[index * LABEL_COUNT + label] ?? 0);
      cameFrom[index * LABEL_COUNT + label] = from;
    }
    [scores, next] = [next, scores];
  }
  let label = 0;
  for (let other = 1; other < LABEL_COUNT; other++)
    if ((scores[other] ?? 0) > (scores[label] ?? 0)) label = other;
  for (let index = count - 1; index >= 0; index--) {
    labels[index] = label;
    label = cameFrom[index * LABEL_COUNT + label] ?? 0;
  }
  return labels;
}

/** The most by which one transition can be better than another. */
function reachOf(transitions: Float32Array): number {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < transitions.length; index++) {
    least = Math.min(least, transitions[index] ?? 0);
    most = Math.max(most, transitions[index] ?? 0);
  }
  return most - least;
}
