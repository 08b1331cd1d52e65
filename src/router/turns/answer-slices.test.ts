import { expect, test } from 'vitest';
import type { TurnEvent } from '#app/schemas/turn.ts';
import { answerSlices } from '#router/turns/answer-slices.ts';

const delta = (length: number): TurnEvent => ({ type: 'delta', text: 'x'.repeat(length) });
const chunkOf = (fields: Record<string, unknown>): TurnEvent => ({
  type: 'chunk',
  chunk: {
    id: 'x',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta: fields, finish_reason: null }],
  },
});

test('what comes as models write it is taken as it is', () => {
  expect(answerSlices([delta(5), delta(4_000), chunkOf({ content: 'word' })])).toBeNull();
});

test.each<[string, (length: number) => TurnEvent]>([
  ['text', delta],
  ['content of the engine', (length) => chunkOf({ content: 'x'.repeat(length) })],
  ['reasoning', (length) => chunkOf({ reasoning_content: 'x'.repeat(length) })],
  [
    'arguments of calls',
    (length) => chunkOf({ tool_calls: [{ index: 0, function: { arguments: 'x'.repeat(length) } }] }),
  ],
])('a flood of %s comes in short slices, all of it and in order', (_what, make) => {
  const events = Array.from({ length: 16 }, () => make(4_096));
  const slices = answerSlices(events) ?? [];
  expect(slices.length).toBe(4);
  expect(slices.flat()).toEqual(events);
  // One event is not split, however long it is.
  expect(answerSlices([make(100_000), make(1)])).toHaveLength(2);
});
