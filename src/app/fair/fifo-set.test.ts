import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FifoSet } from '#app/fair/fifo-set.ts';

test('behaves as a list of distinct values in order of arrival', () => {
  const step = fc.record({ do: fc.constantFrom('add', 'delete', 'shift'), value: fc.nat({ max: 9 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const set = new FifoSet<number>();
      let model: number[] = [];
      for (const { do: what, value } of steps) {
        if (what === 'add') {
          set.add(value);
          if (!model.includes(value)) model.push(value);
        } else if (what === 'delete') {
          expect(set.delete(value)).toBe(model.includes(value));
          model = model.filter((other) => other !== value);
        } else expect(set.shift()).toBe(model.shift());
        expect(set.size).toBe(model.length);
      }
    }),
  );
});
