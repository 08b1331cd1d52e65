import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RecentMap } from '#app/recent-map.ts';

const SIZE = 5;

describe('a map of recent entries', () => {
  test('keeps the most recently used, forgets others, and is never larger than twice its size', () => {
    const step = fc.record({
      what: fc.constantFrom('get', 'set', 'delete' as const),
      key: fc.integer({ min: 0, max: 14 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const map = new RecentMap<number, number>(SIZE);
        /** Every entry that was ever set and not deleted, the most recently used one last. */
        const all = new Map<number, number>();
        for (const [turn, { what, key }] of steps.entries()) {
          if (what === 'set') {
            map.set(key, turn);
            all.delete(key);
            all.set(key, turn);
          } else if (what === 'delete') {
            const isRecent = [...all.keys()].slice(-SIZE).includes(key);
            if (map.delete(key)) expect(all.has(key)).toBe(true);
            else expect(isRecent).toBe(false);
            all.delete(key);
          } else {
            const found = map.get(key);
            const isRecent = [...all.keys()].slice(-SIZE).includes(key);
            if (isRecent || found !== undefined) expect(found).toBe(all.get(key));
            if (found === undefined) all.delete(key);
            else {
              const value = all.get(key) ?? -1;
              all.delete(key);
              all.set(key, value);
            }
          }
          expect(map.size).toBeLessThan(2 * SIZE);
          for (const [known, value] of map.entries()) expect(all.get(known)).toBe(value);
          expect([...map.entries()]).toHaveLength(map.size);
        }
      }),
    );
  });

  test('holds undefined as a value, and a key that is asked for again and again stays', () => {
    const map = new RecentMap<string, undefined>(2);
    map.set('kept', undefined);
    for (let i = 0; i < 100; i++) {
      map.set(`other ${i}`, undefined);
      map.get('kept');
    }
    expect(map.delete('kept')).toBe(true);
    expect(map.delete('kept')).toBe(false);
  });

  test('needs room', () => {
    expect(() => new RecentMap(0)).toThrow(RangeError);
  });
});
