import {
  isBegin,
  kindOf,
  LABEL_COUNT,
  mayFollow,
  OUTSIDE,
  PREDECESSORS,
} from '#router/guardrails/detectors/pii/tagger/labels.ts';
import { piiFeaturesOf } from '#router/guardrails/detectors/pii/tagger/pii-features.ts';
import { piiTokensOf } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** An averaged structured perceptron: one row of label weights a feature, and a weight for each pair of labels. */
export type PiiTagger = Readonly<{
  /** Rows of {@link LABEL_COUNT} weights, a power of two of them. */
  weights: Int8Array;
  scale: number;
  /** `before * LABEL_COUNT + label`. */
  transitions: Float32Array;
  classes: WordClasses;
}>;

export type Entity = Readonly<{ kind: NonNullable<ReturnType<typeof kindOf>>; start: number; end: number }>;

/** Names, places, organisations and the like, in order. */
export function tagEntities(tagger: PiiTagger, text: string): Entity[] {
  const tokens = piiTokensOf(text);
  const labels = bestLabels(tagger, piiFeaturesOf(tokens, tagger.classes));
  const entities: Entity[] = [];
  let open: { kind: Entity['kind']; start: number; end: number } | null = null;
  for (const [index, token] of tokens.entries()) {
    const label = labels[index] ?? OUTSIDE;
    const kind = kindOf(label);
    if (open !== null && kind === open.kind && !isBegin(label)) {
      open.end = token.end;
      continue;
    }
    if (open !== null) entities.push(open);
    open = kind === null ? null : { kind, start: token.start, end: token.end };
  }
  if (open !== null) entities.push(open);
  return entities;
}

const NO_FEATURES = new Uint32Array();
const NO_LABELS = new Uint8Array();

/** Viterbi: the labelling with the highest sum, among those in which inside follows its own kind. */
export function bestLabels(
  {
    weights,
    scale,
    transitions,
  }: Pick<PiiTagger, 'scale' | 'transitions'> & { weights: Int8Array | Float32Array },
  features: readonly Uint32Array[],
): Uint8Array {
  const count = features.length;
  const rowMask = weights.length / LABEL_COUNT - 1;
  const labels = new Uint8Array(count);
  if (count === 0) return labels;
  const cameFrom = new Uint8Array(count * LABEL_COUNT);
  let scores = new Float64Array(LABEL_COUNT).fill(Number.NEGATIVE_INFINITY);
  let next = new Float64Array(LABEL_COUNT);
  const emission = new Float64Array(LABEL_COUNT);
  // Loops by index: this runs for every word, and iterators would cost more than the sums.
  for (let index = 0; index < count; index++) {
    emission.fill(0);
    const row = features[index] ?? NO_FEATURES;
    for (let place = 0; place < row.length; place++) {
      const start = ((row[place] ?? 0) & rowMask) * LABEL_COUNT;
      for (let label = 0; label < LABEL_COUNT; label++)
        emission[label] = (emission[label] ?? 0) + (weights[start + label] ?? 0);
    }
    for (let label = 0; label < LABEL_COUNT; label++) {
      const own = (emission[label] ?? 0) * scale;
      if (index === 0) {
        next[label] = mayFollow(OUTSIDE, label) ? own + (transitions[label] ?? 0) : Number.NEGATIVE_INFINITY;
        continue;
      }
      let best = Number.NEGATIVE_INFINITY;
      let from = 0;
      const befores = PREDECESSORS[label] ?? NO_LABELS;
      for (let place = 0; place < befores.length; place++) {
        const before = befores[place] ?? 0;
        const score = (scores[before] ?? 0) + (transitions[before * LABEL_COUNT + label] ?? 0);
        if (score <= best) continue;
        best = score;
        from = before;
      }
      next[label] = best + own;
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
