import { atOnce } from '#app/in-slices.ts';
import {
  addRows,
  type FeatureRows,
  layRows,
  ROW_NUMBERS,
  sumOf,
} from '#router/guardrails/detectors/pii/tagger/feature-rows.ts';
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
  writeFirstFeatures,
  writeOtherFeatures,
} from '#router/guardrails/detectors/pii/tagger/pii-features.ts';
import { piiTokensOf } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { isPlausible } from '#router/guardrails/detectors/pii/tagger/plausible.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** An averaged structured perceptron: one row of label weights a feature, and a weight for each pair of labels. */
export type TaggerWeights = Readonly<{
  /** The features that have weights: those that tell most. */
  keys: Uint32Array;
  /** A row of {@link LABEL_COUNT} weights for each of them. */
  weights: Int8Array;
  scale: number;
  /** `before * LABEL_COUNT + label`. */
  transitions: Float32Array;
  /** A word whose first features say "outside" by so much more than anything else is not looked at further. */
  certain: number;
}>;

export type PiiTagger = Readonly<{
  rows: FeatureRows;
  scale: number;
  transitions: Float32Array;
  certain: number;
  classes: WordClasses;
  gazetteer: Gazetteer;
}>;

/** Lays the weights out as they are summed. */
export function createPiiTagger(
  { keys, weights, scale, transitions, certain }: TaggerWeights,
  classes: WordClasses,
  gazetteer: Gazetteer,
): PiiTagger {
  return { rows: layRows(keys, weights), scale, transitions, certain, classes, gazetteer };
}

export type Entity = Readonly<{ kind: NonNullable<ReturnType<typeof kindOf>>; start: number; end: number }>;

/** Names, places, organisations and the like, in order. */
export const tagEntities = (tagger: PiiTagger, text: string): Entity[] =>
  atOnce(tagEntitiesInSteps(tagger, text));

/** Tokens of a step: a millisecond at most. */
const TOKENS_A_STEP = 512;

/** As {@link tagEntities}, with a break after every millisecond of a long text. */
export function* tagEntitiesInSteps(tagger: PiiTagger, text: string): Generator<void, Entity[]> {
  const tokens = piiTokensOf(text);
  if (tokens.count > TOKENS_A_STEP) yield;
  const context = piiContextOf(tokens, tagger.classes, tagger.gazetteer);
  if (tokens.count > TOKENS_A_STEP) yield;
  const emissions = yield* emissionsOf(tagger, context);
  const labels = yield* bestLabelsInSteps(emissions, tokens.count, tagger.transitions);
  const entities: Entity[] = [];
  let open: { kind: Entity['kind']; start: number; end: number; listed: number } | null = null;
  const close = () => {
    if (open === null) return;
    const { kind, start, end, listed } = open;
    if (isPlausible(kind, text, start, end, listed !== 0)) entities.push({ kind, start, end });
  };
  for (let index = 0; index < tokens.count; index++) {
    if (index % TOKENS_A_STEP === TOKENS_A_STEP - 1) yield;
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

/** What each label scores at each token by itself: `index * LABEL_COUNT + label`. */
function* emissionsOf(tagger: PiiTagger, context: PiiContext): Generator<void, Float32Array> {
  const { count } = context.tokens;
  const emissions = new Float32Array(count * LABEL_COUNT);
  for (let from = 0; from < count; from += TOKENS_A_STEP) {
    if (from > 0) yield;
    writeEmissions(tagger, context, emissions, from, Math.min(count, from + TOKENS_A_STEP));
  }
  return emissions;
}

function writeEmissions(
  { rows, scale, certain }: PiiTagger,
  context: PiiContext,
  emissions: Float32Array,
  from: number,
  to: number,
): void {
  const features = new Uint32Array(MAX_FEATURES);
  const sums = new Int32Array(ROW_NUMBERS * 2);
  for (let index = from; index < to; index++) {
    const at = index * LABEL_COUNT;
    sums.fill(0);
    const first = writeFirstFeatures(context, index, features);
    let found = addRows(rows, features, 0, first, sums);
    let others = Number.NEGATIVE_INFINITY;
    for (let label = OUTSIDE + 1; label < LABEL_COUNT; label++)
      others = Math.max(others, sumOf(sums, label, found));
    if ((sumOf(sums, OUTSIDE, found) - others) * scale < certain) {
      const all = writeOtherFeatures(context, index, features, first);
      found += addRows(rows, features, first, all, sums);
    }
    for (let label = 0; label < LABEL_COUNT; label++)
      emissions[at + label] = sumOf(sums, label, found) * scale;
  }
}

/**
 * Viterbi: the labelling with the highest sum, among those in which inside follows its own kind. A label whose sum so far is
 * behind the best by more than transitions can make up is not tried as a predecessor: the result is the same.
 */
export const bestLabels = (emissions: Float32Array, count: number, transitions: Float32Array): Uint8Array =>
  atOnce(bestLabelsInSteps(emissions, count, transitions));

function* bestLabelsInSteps(
  emissions: Float32Array,
  count: number,
  transitions: Float32Array,
): Generator<void, Uint8Array> {
  const labels = new Uint8Array(count);
  if (count === 0) return labels;
  const cameFrom = new Uint8Array(count * LABEL_COUNT);
  let scores = new Float64Array(LABEL_COUNT);
  for (let label = 0; label < LABEL_COUNT; label++)
    scores[label] = mayFollow(OUTSIDE, label)
      ? (emissions[label] ?? 0) + (transitions[label] ?? 0)
      : Number.NEGATIVE_INFINITY;
  const path: Path = { emissions, transitions, reach: reachOf(transitions), cameFrom };
  for (let from = 1; from < count; from += TOKENS_A_STEP) {
    if (from > 1) yield;
    scores = follow(path, scores, from, Math.min(count, from + TOKENS_A_STEP));
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

type Path = Readonly<{
  emissions: Float32Array;
  transitions: Float32Array;
  reach: number;
  cameFrom: Uint8Array;
}>;

/** The sums at the last of these tokens, from those before the first. */
function follow(
  { emissions, transitions, reach, cameFrom }: Path,
  before: Float64Array<ArrayBuffer>,
  start: number,
  end: number,
): Float64Array<ArrayBuffer> {
  let scores = before;
  let next = new Float64Array(LABEL_COUNT);
  const near = new Uint8Array(LABEL_COUNT);
  for (let index = start; index < end; index++) {
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
  return scores;
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
