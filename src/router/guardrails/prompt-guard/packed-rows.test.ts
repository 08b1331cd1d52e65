import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addPackedRows, PACKED_UNITS, packRows } from '#router/guardrails/prompt-guard/packed-rows.ts';

test('packed rows sum up to what the rows do', () => {
  const rows = 8;
  const weights = fc.int8Array({ minLength: rows * PACKED_UNITS, maxLength: rows * PACKED_UNITS });
  // More features than one pass takes; the highest bits of a feature are not part of its row.
  const features = fc.uint32Array({ maxLength: 700 });
  fc.assert(
    fc.property(weights, features, (embedding, chosen) => {
      const expected = new Float64Array(PACKED_UNITS).fill(0.5);
      for (const feature of chosen) {
        for (let unit = 0; unit < PACKED_UNITS; unit++) {
          const weight = embedding[(feature % rows) * PACKED_UNITS + unit] ?? Number.NaN;
          expected[unit] = (expected[unit] ?? 0) + weight;
        }
      }
      const sums = new Float64Array(PACKED_UNITS).fill(0.5);
      addPackedRows(packRows(embedding), chosen, sums);
      expect(sums).toEqual(expected);
    }),
  );
});

test('the largest weights of most rows do not run into each other', () => {
  const sums = new Float64Array(PACKED_UNITS);
  addPackedRows(packRows(new Int8Array(PACKED_UNITS).fill(127)), new Uint32Array(1_000), sums);
  expect([...sums]).toEqual(Array.from({ length: PACKED_UNITS }, () => 127_000));
});
