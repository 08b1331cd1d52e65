import {
  BEGINS_LONGER,
  GAZETTEER_TYPES,
  type Gazetteer,
} from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
import {
  beginOf,
  insideOf,
  kindOf,
  LABEL_COUNT,
  OUTSIDE,
} from '#router/guardrails/detectors/pii/tagger/labels.ts';
import {
  MAX_FEATURES,
  piiContextOf,
  writeFirstFeatures,
  writeOtherFeatures,
} from '#router/guardrails/detectors/pii/tagger/pii-features.ts';
import { bestLabels, type TaggerWeights } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';
import { type PiiTokens, piiTokensOf, Shape } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { mix } from '#router/guardrails/prompt-guard/hash.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';
import { type FeatureIndex, featureCounts, featureIndex } from './feature-index.ts';
import type { LabelledSpans } from './make-text.ts';
import { shuffled } from './random.ts';

/** Part of the features is left out of each update, so that none is leant on alone. */
const DROPPED = 0.1;
/** Texts in which the lists say nothing at all. */
const WITHOUT_LISTS = 0.1;
/** Features with a row before the ones that tell little are left out. */
const MOST_FEATURES = 2 ** 22;

type Example = Readonly<{ tokens: PiiTokens; labels: Uint8Array; lookedFor: LabelledSpans['looked_for'] }>;

export type TrainingOptions = Readonly<{
  texts: readonly LabelledSpans[];
  classes: WordClasses;
  gazetteer: Gazetteer;
  random: () => number;
  /** Features that keep a row. */
  rows: number;
  /** How often a feature must be met to be learned at all. */
  least: number;
  /** Rounds with all features, then with those that keep a row. */
  epochs: readonly [number, number];
  /** By how much the right labelling must win, a token. */
  margin: number;
  /** By how much more where a name would be missed. */
  recall: number;
  /** The share of listed names that the lists are silent about, drawn anew for each text: names in use are often in none. */
  forget: number;
  certain: number;
}>;

/** What is learned: a row a feature, and a weight a pair of labels. */
type Model = Readonly<{ index: FeatureIndex; weights: Float32Array; transitions: Float32Array }>;

/** A structured perceptron, averaged over all steps; the features that tell least are left out, the others trained on; in int8. */
export function trainPerceptron(options: TrainingOptions): TaggerWeights {
  const { texts, gazetteer, rows, epochs, certain } = options;
  const examples = texts.map((text) => exampleOf(text, gazetteer));
  const counts = featureCounts();
  eachFeature(options, examples, counts.add);
  const met = featuresAbove(options, examples, (feature) => counts.of(feature) >= options.least);
  console.error(`${met.length} features are met ${options.least} times or more`);
  const all = trained(options, examples, newModel(featureIndex(met)), epochs[0]);
  const kept = all.weights.length > rows * LABEL_COUNT ? pruned(all, rows, counts.of) : all;
  const model = epochs[1] > 0 ? trained(options, examples, kept, epochs[1]) : kept;

  const largest = model.weights.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // The few largest weights are clipped, so that the rest keep their shades.
  const scale = (largest * 0.5) / 127;
  return {
    keys: model.index.keys,
    weights: Int8Array.from(model.weights, (value) =>
      Math.max(-127, Math.min(127, Math.round(value / scale))),
    ),
    scale,
    transitions: model.transitions,
    certain,
  };
}

const newModel = (index: FeatureIndex): Model => ({
  index,
  weights: new Float32Array(index.keys.length * LABEL_COUNT),
  transitions: new Float32Array(LABEL_COUNT * LABEL_COUNT),
});

/** Starts from a model, and averages what the steps make of it. */
function trained(
  options: TrainingOptions,
  examples: readonly Example[],
  start: Model,
  epochs: number,
): Model {
  const { classes, gazetteer, random, margin, recall, forget } = options;
  const { find } = start.index;
  const { weights, transitions } = start;
  const summed = new Float64Array(weights.length);
  const transitionSums = new Float64Array(transitions.length);
  let steps = 1;
  const update = (values: Float32Array, sums: Float64Array, index: number, by: number) => {
    values[index] = (values[index] ?? 0) + by;
    sums[index] = (sums[index] ?? 0) + by * steps;
  };
  const longest = examples.reduce((most, { tokens }) => Math.max(most, tokens.count), 0);
  const features = new Int32Array(longest * MAX_FEATURES);
  const featureCounts = new Int32Array(longest);
  const row = new Uint32Array(MAX_FEATURES);

  for (let epoch = 0; epoch < epochs; epoch++) {
    let wrong = 0;
    for (const { tokens, labels, lookedFor } of shuffled(examples, random)) {
      const { count } = tokens;
      const context = piiContextOf(tokens, classes, forgetful(gazetteer, forget, random));
      const emissions = new Float32Array(count * LABEL_COUNT);
      for (let index = 0; index < count; index++) {
        const met = writeOtherFeatures(context, index, row, writeFirstFeatures(context, index, row));
        const at = index * LABEL_COUNT;
        let own = 0;
        for (let place = 0; place < met; place++) {
          const number = find(row[place] ?? 0);
          if (number < 0) continue;
          const from = number * LABEL_COUNT;
          features[index * MAX_FEATURES + own++] = from;
          for (let label = 0; label < LABEL_COUNT; label++)
            emissions[at + label] = (emissions[at + label] ?? 0) + (weights[from + label] ?? 0);
        }
        featureCounts[index] = own;
        const right = labels[index] ?? OUTSIDE;
        for (let label = 0; label < LABEL_COUNT; label++)
          if (label !== right)
            emissions[at + label] = (emissions[at + label] ?? 0) + margin + (label === OUTSIDE ? recall : 0);
      }
      const guess = bestLabels(emissions, count, transitions);
      steps++;
      let before: number = OUTSIDE;
      let guessedBefore: number = OUTSIDE;
      let missed = false;
      for (let index = 0; index < count; index++) {
        const guessed = guess[index] ?? OUTSIDE;
        const truth = believed(labels[index] ?? OUTSIDE, guessed, lookedFor);
        if (truth !== guessed) {
          missed = true;
          const own = featureCounts[index] ?? 0;
          for (let place = 0; place < own; place++) {
            if (random() < DROPPED) continue;
            const from = features[index * MAX_FEATURES + place] ?? 0;
            update(weights, summed, from + truth, 1);
            update(weights, summed, from + guessed, -1);
          }
        }
        if (truth !== guessed || before !== guessedBefore) {
          update(transitions, transitionSums, before * LABEL_COUNT + truth, 1);
          update(transitions, transitionSums, guessedBefore * LABEL_COUNT + guessed, -1);
        }
        before = truth;
        guessedBefore = guessed;
      }
      if (missed) wrong++;
    }
    console.error(`epoch ${epoch + 1}: ${((100 * wrong) / examples.length).toFixed(1)}% of texts wrong`);
  }
  return {
    index: start.index,
    weights: weights.map((value, index) => value - (summed[index] ?? 0) / steps),
    transitions: transitions.map((value, index) => value - (transitionSums[index] ?? 0) / steps),
  };
}

/** Those features whose weights differ most between labels, the more so the oftener they are met. */
function pruned(
  { index, weights, transitions }: Model,
  rows: number,
  countOf: (feature: number) => number,
): Model {
  const tell = Float32Array.from(index.keys, (key, number) => {
    let square = 0;
    let sum = 0;
    for (let label = 0; label < LABEL_COUNT; label++) {
      const weight = weights[number * LABEL_COUNT + label] ?? 0;
      square += weight * weight;
      sum += weight;
    }
    return (square - (sum * sum) / LABEL_COUNT) * Math.log2(1 + countOf(key));
  });
  const least = tell.slice().sort()[tell.length - rows] ?? 0;
  const numbers = [...index.keys.keys()].filter((number) => (tell[number] ?? 0) > least);
  // In the order of the keys, as the file has them.
  numbers.sort((left, right) => (index.keys[left] ?? 0) - (index.keys[right] ?? 0));
  const kept = new Float32Array(numbers.length * LABEL_COUNT);
  for (const [at, number] of numbers.entries())
    kept.set(weights.subarray(number * LABEL_COUNT, (number + 1) * LABEL_COUNT), at * LABEL_COUNT);
  const keys = Uint32Array.from(numbers, (number) => index.keys[number] ?? 0);
  return { index: featureIndex(keys), weights: kept, transitions };
}

/** Goes through all features of all texts, as the lists come to be silent. */
function eachFeature(options: TrainingOptions, examples: readonly Example[], use: (feature: number) => void) {
  const row = new Uint32Array(MAX_FEATURES);
  for (const { tokens } of examples) {
    const lists = forgetful(options.gazetteer, options.forget, options.random);
    const context = piiContextOf(tokens, options.classes, lists);
    for (let index = 0; index < tokens.count; index++) {
      const met = writeOtherFeatures(context, index, row, writeFirstFeatures(context, index, row));
      for (let place = 0; place < met; place++) use(row[place] ?? 0);
    }
  }
}

/** The features for which this holds, in order. */
function featuresAbove(
  options: TrainingOptions,
  examples: readonly Example[],
  isMet: (feature: number) => boolean,
): Uint32Array {
  const size = MOST_FEATURES * 2;
  const slots = new Uint32Array(size);
  let count = 0;
  eachFeature(options, examples, (feature) => {
    if (feature === 0 || !isMet(feature)) return;
    let slot = feature & (size - 1);
    while (slots[slot] !== 0 && slots[slot] !== feature) slot = (slot + 1) & (size - 1);
    if (slots[slot] === feature || count >= MOST_FEATURES) return;
    slots[slot] = feature;
    count++;
  });
  return slots.filter((feature) => feature !== 0).sort();
}

/** Lists that know each name in most texts, and none in some. */
function forgetful(lists: Gazetteer, share: number, draw: () => number): Gazetteer {
  const seed = Math.floor(draw() * 2 ** 32);
  const limit = (draw() < WITHOUT_LISTS ? 1 : share) * 2 ** 32;
  return {
    find: (hash) => {
      const bits = lists.find(hash);
      return bits !== 0 && mix(hash, seed) < limit ? bits & BEGINS_LONGER : bits;
    },
  };
}

/** What is outside in a text where nobody looked for a kind may be of that kind. */
function believed(label: number, guessed: number, lookedFor: LabelledSpans['looked_for']): number {
  if (label !== OUTSIDE || lookedFor === 'all') return label;
  const kind = kindOf(guessed);
  return kind === null || lookedFor.has(kind) ? OUTSIDE : guessed;
}

const NATIONALITY = 1 << GAZETTEER_TYPES.indexOf('nationality');

function exampleOf({ text, spans, looked_for: lookedFor }: LabelledSpans, gazetteer: Gazetteer): Example {
  const tokens = piiTokensOf(text);
  const labels = new Uint8Array(tokens.count);
  let started = -1;
  for (let index = 0; index < tokens.count; index++) {
    const token = tokens.starts[index] ?? 0;
    const at = spans.findIndex(({ start, end }) => token >= start && token < end);
    const span = spans[at];
    labels[index] = span === undefined ? OUTSIDE : at === started ? insideOf(span.kind) : beginOf(span.kind);
    started = at;
    // Peoples are in a list: where nobody looked for them, the list has.
    const people = (gazetteer.find(tokens.words[index] ?? 0) & NATIONALITY) !== 0;
    if (span === undefined && lookedFor !== 'all' && people && tokens.shapes[index] === Shape.capital)
      labels[index] = beginOf('nationality');
  }
  return { tokens, labels, lookedFor };
}
