import { expect, test } from 'vitest';
import { messagesForEngine } from '#inference/openai/engine-messages.ts';

test('gives no engine a null but the content beside tool calls', () => {
  const calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }];
  const absent = { name: null, function_call: null, refusal: null, audio: null, reasoning: null };
  expect(
    messagesForEngine([
      { role: 'user', content: 'x', ...absent, tool_calls: null, tool_call_id: null },
      { role: 'assistant', content: null, ...absent, tool_calls: calls },
      { role: 'tool', content: '1', ...absent, tool_call_id: 'a' },
    ]),
  ).toEqual([
    { role: 'user', content: 'x' },
    { role: 'assistant', content: null, tool_calls: calls },
    { role: 'tool', content: '1', tool_call_id: 'a' },
  ]);
});
