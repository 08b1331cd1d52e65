import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { silentLogger } from '#observability/logger.ts';
import { createOutageReport } from '#router/limits/redis/outage-report.ts';

const REPEAT_MS = 15_000;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function setUp() {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const logger = { ...silentLogger, warn: (fields: (typeof lines)[number]) => void lines.push(fields) };
  let now = 0;
  const report = createOutageReport({ what: 'limits', logger, monotonicNow: () => now, repeatMs: REPEAT_MS });
  const pass = (milliseconds: number) => {
    now += milliseconds;
    vi.advanceTimersByTime(milliseconds);
  };
  const told = () => lines.map(({ metric, value, is_out }) => [metric, value, is_out]);
  return { report, lines, pass, told };
}

test('an outage is told at its begin, while it lasts and at its end, and its seconds add up', () => {
  const { report, lines, pass, told } = setUp();
  expect(report.isOut).toBe(false);
  report.onChange(true, new Error('silence'));
  expect(report.isOut).toBe(true);
  pass(REPEAT_MS);
  pass(REPEAT_MS);
  pass(2_500);
  report.onChange(false);
  expect(report.isOut).toBe(false);
  pass(10 * REPEAT_MS);
  expect(told()).toEqual([
    ['RedisOutageSeconds', 0, true],
    ['RedisOutageSeconds', 15, true],
    ['RedisOutageSeconds', 15, true],
    ['RedisOutageSeconds', 2.5, false],
  ]);
  expect(lines[0]).toMatchObject({ event: 'redis_outage', decided_here: 'limits' });
  expect(lines[0]?.err).toBeInstanceOf(Error);
});

test('the next outage counts from its own begin', () => {
  const { report, pass, told } = setUp();
  report.onChange(true);
  pass(1_000);
  report.onChange(false);
  pass(60_000);
  report.onChange(true);
  pass(3_000);
  report.onChange(false);
  expect(told().map(([, value]) => value)).toEqual([0, 1, 0, 3]);
});

test('a closed one says nothing more', () => {
  const { report, lines, pass } = setUp();
  report.onChange(true);
  report.close();
  pass(10 * REPEAT_MS);
  expect(lines).toHaveLength(1);
});
