import { expect, test } from 'vitest';
import { plainParam } from '#router/request-log/plain-param.ts';

test.each([
  ['messages.12.tool_calls.0.function.arguments', 'messages.12.tool_calls.0.function.arguments'],
  ['x-tenant-id', 'x-tenant-id'],
  [
    'messages.0.tool_calls.0.function.arguments.card 4111 1111',
    'messages.0.tool_calls.0.function.arguments.*',
  ],
  ['arguments.ada@example.com.note', 'arguments.*.com.note'],
  ['AKIAQ2W3E4R5T6Y7U2I3', '*'],
  ['4111111111111111', '*'],
  [`a.${'b'.repeat(1_000)}`, 'a.*'],
])('%s is logged as %s', (param, logged) => {
  expect(plainParam(param)).toBe(logged);
});
