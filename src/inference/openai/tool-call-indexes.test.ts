import { expect, test } from 'vitest';
import { ToolCallIndexes } from '#inference/openai/tool-call-indexes.ts';

const indexesOf = (events: readonly (readonly Record<string, unknown>[])[]) => {
  const indexes = new ToolCallIndexes();
  return events.map((calls) => calls.map((call, place) => indexes.complete(call, place).index));
};

test('an index that the server gives is kept', () => {
  expect(indexesOf([[{ index: 1, id: 'b' }], [{ index: 0, id: 'a' }], [{ index: 1 }]])).toEqual([
    [1],
    [0],
    [1],
  ]);
});

test('without indexes, a new id begins a new call and a piece without one goes on with the last', () => {
  expect(indexesOf([[{ id: 'a' }], [{}], [{ id: 'b', index: null }], [{ id: '' }], [{ id: 'a' }]])).toEqual([
    [0],
    [0],
    [1],
    [1],
    [0],
  ]);
});

test('several calls in one event are told apart', () => {
  expect(indexesOf([[{ id: 'a' }, { id: 'b' }]])).toEqual([[0, 1]]);
  expect(indexesOf([[{}, {}]])).toEqual([[0, 1]]);
});
