import { beforeAll, describe, expect, test } from 'vitest';
import { LABEL_COUNT, mayFollow, OUTSIDE } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import {
  bestLabels,
  type PiiTagger,
  tagEntities,
} from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';

let tagger: PiiTagger;
beforeAll(async () => {
  ({ piiTagger: tagger } = await loadGuardrailModels());
});

const found = (text: string) =>
  tagEntities(tagger, text).map(({ kind, start, end }) => `${kind}: ${text.slice(start, end)}`);

describe('the tagger that is shipped', () => {
  test.each([
    [
      'My name is Annika Bergström and I live in Copenhagen.',
      ['person: Annika Bergström', 'location: Copenhagen'],
    ],
    [
      'Dear Mrs. Okafor, your visit is on 14 March 2025.',
      ['title: Mrs.', 'person: Okafor', 'date: 14 March 2025'],
    ],
    ['She is 34 years old.', ['age: 34']],
    ['The meeting with Siemens AG was moved.', ['organization: Siemens AG']],
    [
      'Please ship it to 221 Maple Avenue, Springfield, IL 62704.',
      ['address: 221 Maple Avenue, Springfield, IL 62704'],
    ],
  ])('%s', (text, expected) => {
    expect(found(text)).toEqual(expected);
  });

  test.each([
    'How do I sort a list of numbers in Python?',
    'the parcel has not come, what should i do now?',
    'It took 12 minutes and cost $40.',
    '',
  ])('names nobody: %s', (text) => {
    expect(found(text).filter((line) => /^(?:person|address|license|age)/.test(line))).toEqual([]);
  });
});

test('a text is read the same, whatever was read before it', () => {
  const short = 'Dear Mrs. Okafor, your visit is on 14 March 2025.';
  const alone = found(short);
  found(`${short} We met in Copenhagen. `.repeat(1_500));
  expect(found(short)).toEqual(alone);
  expect(alone.length).toBe(3);
});

test('inside never begins, and never follows another kind', () => {
  const count = 200;
  let state = 7;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  const emissions = Float32Array.from({ length: count * LABEL_COUNT }, next);
  const labels = bestLabels(emissions, count, new Float32Array(LABEL_COUNT * LABEL_COUNT));
  let before = OUTSIDE;
  for (const label of labels) {
    const inside = label !== OUTSIDE && label % 2 === 0;
    if (inside) expect([label, label - 1]).toContain(before);
    before = label;
  }
  expect(new Set(labels).size).toBeGreaterThan(3);
});

test('leaving labels out that cannot win does not change the labelling', () => {
  let state = 11;
  const next = (width: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state / 2 ** 32 - 0.5) * width;
  };
  for (let times = 0; times < 30; times++) {
    const count = 1 + (times % 12);
    const transitions = Float32Array.from({ length: LABEL_COUNT * LABEL_COUNT }, () => next(60));
    const emissions = Float32Array.from({ length: count * LABEL_COUNT }, () => next(90));
    const sumOf = (labels: Iterable<number>) => {
      let sum = 0;
      let before = OUTSIDE;
      let index = 0;
      for (const label of labels) {
        sum +=
          (transitions[before * LABEL_COUNT + label] ?? 0) + (emissions[index * LABEL_COUNT + label] ?? 0);
        before = label;
        index++;
      }
      return sum;
    };
    expect(sumOf(bestLabels(emissions, count, transitions))).toBeCloseTo(
      bestSum(emissions, count, transitions),
      2,
    );
  }
});

/** The highest sum of any labelling, by trying each label after each. */
function bestSum(emissions: Float32Array, count: number, transitions: Float32Array): number {
  let sums = new Map<number, number>([[OUTSIDE, 0]]);
  for (let index = 0; index < count; index++) {
    const next = new Map<number, number>();
    for (const [before, sum] of sums) {
      for (let label = 0; label < LABEL_COUNT; label++) {
        if (!mayFollow(before, label)) continue;
        const score =
          sum +
          (transitions[before * LABEL_COUNT + label] ?? 0) +
          (emissions[index * LABEL_COUNT + label] ?? 0);
        if (score > (next.get(label) ?? Number.NEGATIVE_INFINITY)) next.set(label, score);
      }
    }
    sums = next;
  }
  return Math.max(...sums.values());
}
