import { GAZETTEER_TYPES, type Gazetteer } from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
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
  writePiiFeatures,
} from '#router/guardrails/detectors/pii/tagger/pii-features.ts';
import { bestLabels, type TaggerWeights } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';
import { type PiiTokens, piiTokensOf, Shape } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { mix } from '#router/guardrails/prompt-guard/hash.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';
import type { LabelledSpans } from './make-text.ts';
import { shuffled } from './random.ts';

/** Part of the features is left out of each update, so that none is leant on alone. */
const DROPPED = 0.1;
/** Texts in which the lists say nothing at all. */
const WITHOUT_LISTS = 0.1;

type Example = Readonly<{ tokens: PiiTokens; labels: Uint8Array; lookedFor: LabelledSpans['looked_for'] }>;

export type TrainingOptions = Readonly<{
  texts: readonly LabelledSpans[];
  classes: WordClasses;
  gazetteer: Gazetteer;
  random: () => number;
  /** A power of two. */
  rows: number;
  epochs: number;
  /** By how much the right labelling must win, a token. */
  margin: number;
  /** The share of listed names that the lists are silent about, drawn anew for each text: names in use are often in none. */
  forget: number;
}>;

/** A structured perceptron, averaged over all steps, in int8. */
export function trainPerceptron(options: TrainingOptions): TaggerWeights {
  const { texts, classes, gazetteer, random, rows, epochs, margin, forget } = options;
  const examples = texts.map((text) => exampleOf(text, gazetteer));
  const weights = new Float32Array(rows * LABEL_COUNT);
  const summed = new Float64Array(rows * LABEL_COUNT);
  const transitions = new Float32Array(LABEL_COUNT * LABEL_COUNT);
  const transitionSums = new Float64Array(LABEL_COUNT * LABEL_COUNT);
  let steps = 1;
  const update = (values: Float32Array, sums: Float64Array, index: number, by: number) => {
    values[index] = (values[index] ?? 0) + by;
    sums[index] = (sums[index] ?? 0) + by * steps;
  };
  const longest = examples.reduce((most, { tokens }) => Math.max(most, tokens.count), 0);
  const features = new Uint32Array(longest * MAX_FEATURES);
  const featureCounts = new Int32Array(longest);
  const row = new Uint32Array(MAX_FEATURES);

  for (let epoch = 0; epoch < epochs; epoch++) {
    let wrong = 0;
    for (const { tokens, labels, lookedFor } of shuffled(examples, random)) {
      const { count } = tokens;
      const context = piiContextOf(tokens, classes, forgetful(gazetteer, forget, random));
      const emissions = new Float32Array(count * LABEL_COUNT);
      for (let index = 0; index < count; index++) {
        const own = writePiiFeatures(context, index, row);
        featureCounts[index] = own;
        for (let place = 0; place < own; place++) {
          const start = ((row[place] ?? 0) & (rows - 1)) * LABEL_COUNT;
          features[index * MAX_FEATURES + place] = start;
          for (let label = 0; label < LABEL_COUNT; label++)
            emissions[index * LABEL_COUNT + label] =
              (emissions[index * LABEL_COUNT + label] ?? 0) + (weights[start + label] ?? 0);
        }
        for (let label = 0; label < LABEL_COUNT; label++)
          if (label !== labels[index])
            emissions[index * LABEL_COUNT + label] = (emissions[index * LABEL_COUNT + label] ?? 0) + margin;
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
            const start = features[index * MAX_FEATURES + place] ?? 0;
            update(weights, summed, start + truth, 1);
            update(weights, summed, start + guessed, -1);
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

  const averaged = weights.map((value, index) => value - (summed[index] ?? 0) / steps);
  const largest = averaged.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // The few largest weights are clipped, so that the rest keep their shades.
  const scale = (largest * 0.5) / 127;
  return {
    weights: Int8Array.from(averaged, (value) => Math.max(-127, Math.min(127, Math.round(value / scale)))),
    scale,
    transitions: transitions.map((value, index) => value - (transitionSums[index] ?? 0) / steps),
  };

  /** Lists that know each name in most texts, and none in some. */
  function forgetful(lists: Gazetteer, share: number, draw: () => number): Gazetteer {
    const seed = Math.floor(draw() * 2 ** 32);
    const limit = (draw() < WITHOUT_LISTS ? 1 : share) * 2 ** 32;
    return { find: (hash) => (mix(hash, seed) < limit ? 0 : lists.find(hash)) };
  }
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
