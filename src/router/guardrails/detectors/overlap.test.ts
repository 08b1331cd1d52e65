import { describe, expect, test } from 'vitest';
import { overlapWith } from '#router/guardrails/detectors/overlap.ts';

describe('overlapWith', () => {
  test('no span overlaps with anything', () => {
    expect(overlapWith([])(0, 10)).toBe(false);
  });

  test('spans that only touch share nothing', () => {
    const overlaps = overlapWith([{ start: 5, end: 10 }]);
    expect([overlaps(0, 5), overlaps(10, 12), overlaps(0, 6), overlaps(9, 12), overlaps(6, 7)]).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
  });

  test('gives what comparing with each of them gives, in whatever order they are', () => {
    let state = 7;
    const below = (limit: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((state / 2_147_483_648) * limit);
    };
    for (let round = 0; round < 300; round++) {
      const spans = Array.from({ length: below(8) }, () => {
        const start = below(40);
        return { start, end: start + 1 + below(12) };
      });
      const overlaps = overlapWith(spans);
      for (let start = 0; start < 50; start++)
        for (const length of [1, 2, 9])
          expect(overlaps(start, start + length)).toBe(
            spans.some((span) => span.start < start + length && span.end > start),
          );
    }
  });
});
