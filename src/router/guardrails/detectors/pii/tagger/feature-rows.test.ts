import { expect, test } from 'vitest';
import {
  addRows,
  layRows,
  ROW_NUMBERS,
  sumOf,
} from '#router/guardrails/detectors/pii/tagger/feature-rows.ts';
import { LABEL_COUNT } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import { mix } from '#router/guardrails/prompt-guard/hash.ts';

test('sums are those of the rows that are there', () => {
  const keys = Uint32Array.from({ length: 3_000 }, (_, index) => mix(index, 1)).sort();
  const weights = Int8Array.from(
    { length: keys.length * LABEL_COUNT },
    (_, index) => ((index * 37) % 255) - 127,
  );
  const rows = layRows(keys, weights);
  const asked = [5, 77, 2_999, 77].map((row) => keys[row] ?? 0);
  const features = Uint32Array.from([mix(1, 9), ...asked, mix(2, 9)]);
  const sums = new Int32Array(ROW_NUMBERS * 2);
  let found = addRows(rows, features, 0, 3, sums);
  found += addRows(rows, features, 3, features.length, sums);
  expect(found).toBe(4);
  for (let label = 0; label < LABEL_COUNT; label++) {
    const expected = [5, 77, 2_999, 77].reduce(
      (sum, row) => sum + (weights[row * LABEL_COUNT + label] ?? 0),
      0,
    );
    expect(sumOf(sums, label, found)).toBe(expected);
  }
});
