import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuseByReciprocalRank } from '#rag/rank/reciprocal-rank-fusion.ts';
import { selectDiverse } from '#rag/rank/select-diverse.ts';

const fuse = (...rankings: string[][]) => fuseByReciprocalRank(rankings, (id) => id);

describe('fuseByReciprocalRank', () => {
  it('adds 1 / (60 + rank) over the rankings', () => {
    expect(fuse(['a', 'b'], ['b', 'c'])).toEqual([
      { item: 'b', score: 1 / 62 + 1 / 61 },
      { item: 'a', score: 1 / 61 },
      { item: 'c', score: 1 / 62 },
    ]);
  });

  it('keeps one ranking as it is, and nothing of nothing', () => {
    expect(fuse(['c', 'a', 'b'], []).map(({ item }) => item)).toEqual(['c', 'a', 'b']);
    expect(fuse([], [])).toEqual([]);
  });
});

describe('selectDiverse', () => {
  const at = (degrees: number, score: number) => {
    const angle = (degrees * Math.PI) / 180;
    return { vector: Float32Array.of(Math.cos(angle), Math.sin(angle)), score, degrees };
  };
  const degrees = (items: { degrees: number }[]) => items.map((item) => item.degrees);

  it('keeps the order without diversity', () => {
    expect(degrees(selectDiverse([at(0, 3), at(0, 2), at(90, 1)], 2, 0))).toEqual([0, 0]);
  });

  it('puts near duplicates last, whatever their score, and still fills up with them', () => {
    const candidates = [at(0, 1), at(1, 0.99), at(2, 0.98), at(60, 0.1)];
    expect(degrees(selectDiverse(candidates, 2, 0.1))).toEqual([0, 60]);
    expect(degrees(selectDiverse(candidates, 4, 0.1)).slice(0, 2)).toEqual([0, 60]);
    expect(selectDiverse(candidates, 4, 0.1)).toHaveLength(4);
  });

  it('prefers what differs, the more the higher the diversity', () => {
    const candidates = [at(0, 1), at(30, 0.9), at(90, 0.5)];
    expect(degrees(selectDiverse(candidates, 2, 0.2))).toEqual([0, 30]);
    expect(degrees(selectDiverse(candidates, 2, 0.8))).toEqual([0, 90]);
  });

  it('returns min(limit, candidates) different candidates', () => {
    const candidate = fc.record({
      degrees: fc.integer({ min: 0, max: 359 }),
      score: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const property = fc.property(
      fc.array(candidate, { maxLength: 30 }),
      fc.integer({ min: 1, max: 40 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (candidates, limit, diversity) => {
        const items = candidates.map((each) => at(each.degrees, each.score));
        const picked = selectDiverse(items, limit, diversity);
        expect(picked).toHaveLength(Math.min(limit, items.length));
        expect(new Set(picked).size).toBe(picked.length);
      },
    );
    fc.assert(property);
  });
});
