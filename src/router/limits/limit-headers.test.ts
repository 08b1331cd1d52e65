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

test('what is left is told in OpenAI’s names and in the IETF’s fields', () => {
  const state = { limit: 120, remaining: 7, windowMs: 60_000, resetMs: 30_500 };
  const tokens = { limit: 9_000, remaining: 0, windowMs: 60_000, resetMs: 60_000 };
  expect(limitHeaders({ state, tokens })).toEqual({
    'x-ratelimit-limit-requests': '120',
    'x-ratelimit-remaining-requests': '7',
    'x-ratelimit-reset-requests': '30.5s',
    'x-ratelimit-limit-tokens': '9000',
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': '1m0s',
    'ratelimit-policy': '"requests";q=120;w=60, "tokens";q=9000;qu="tokens";w=60',
    ratelimit: '"requests";r=7;t=31, "tokens";r=0;t=60',
  });
  const hourly = { limit: 3_600, remaining: 3_599, windowMs: 3_600_000, resetMs: 1 };
  expect(limitHeaders({ state: hourly, tokens: null })).toMatchObject({
    'ratelimit-policy': '"requests";q=3600;w=3600',
    ratelimit: '"requests";r=3599;t=1',
  });
});

test('no limit, no headers', () => {
  expect(limitHeaders({ state: null, tokens: null })).toEqual({});
});
