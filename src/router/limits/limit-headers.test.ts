import { expect, test } from 'vitest';
import { formatDuration, limitHeaders, retryHeaders } from '#router/limits/limit-headers.ts';

test.each([
  [0, '0ms'],
  [19.2, '20ms'],
  [999.5, '1s'],
  [1_500, '1.5s'],
  [60_000, '1m0s'],
  [360_250, '6m0.25s'],
  [3_600_000, '1h0m0s'],
])('%d ms is written %s', (milliseconds, written) => {
  expect(formatDuration(milliseconds)).toBe(written);
});

test('Retry-After is never too early', () => {
  expect(retryHeaders(1_000.2)).toEqual({ 'retry-after': '2', 'retry-after-ms': '1001' });
  expect(retryHeaders(0)).toEqual({ 'retry-after': '1', 'retry-after-ms': '1' });
});

test('no limit, no headers', () => {
  expect(limitHeaders({ state: null, tokens: null })).toEqual({});
});
