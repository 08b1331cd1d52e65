import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  callsOf,
  MAX_BYTES_PER_CALL,
  MAX_METRICS_KEPT,
  MAX_METRICS_PER_CALL,
  MAX_VALUES_PER_METRIC,
  MetricSums,
} from '#observability/cloudwatch/metric-sums.ts';

const AT = new Date('2026-03-01T12:00:00Z');

describe('sums of a minute', () => {
  test('have every value, to three digits, and how often it came', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { maxLength: 2_000 }), (values) => {
        const sums = new MetricSums();
        for (const value of values) sums.add('RequestLatency', 'Milliseconds', [['route', 'rag']], value);
        const { data, dropped } = sums.take(AT);
        expect(dropped).toBe(0);
        const told = data.flatMap(({ Values = [], Counts = [] }) =>
          Values.flatMap((value, index) => Array<number>(Counts[index] ?? 0).fill(value)),
        );
        const expected = values.map((value) => Number(value.toPrecision(3)));
        const sorted = (numbers: number[]) => numbers.sort((a, b) => a - b);
        expect(sorted(told)).toEqual(sorted(expected));
        for (const { Values, Counts } of data) {
          expect(Values?.length).toBeLessThanOrEqual(MAX_VALUES_PER_METRIC);
          expect(Counts?.length).toBe(Values?.length);
        }
        expect(sums.take(AT).data).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  test('are apart by name and by every dimension', () => {
    const sums = new MetricSums();
    sums.add('A', 'Count', [['route', 'rag']], 1);
    sums.add('A', 'Count', [['route', 'rag']], 1);
    sums.add('A', 'Count', [['route', 'chat']], 1);
    sums.add('B', 'Count', [['route', 'rag']], 1);
    // Not to be mistaken for one another, whatever is in the names.
    sums.add(
      'A',
      'Count',
      [
        ['tenant_id', 'a","b'],
        ['route', 'c'],
      ],
      1,
    );
    sums.add(
      'A',
      'Count',
      [
        ['tenant_id', 'a'],
        ['b', 'c'],
      ],
      1,
    );
    expect(sums.take(AT).data.map(({ Counts }) => Counts)).toEqual([[2], [1], [1], [1], [1]]);
  });

  test('leave in calls within the limits', () => {
    const sums = new MetricSums();
    for (let tenant = 0; tenant < 1_500; tenant++) {
      const values = tenant < 400 ? 400 : 1;
      for (let value = 1; value <= values; value++) {
        sums.add('RequestLatency', 'Milliseconds', [['tenant_id', `tenant-${tenant}`]], value);
      }
    }
    const { data } = sums.take(AT);
    expect(data.length).toBe(400 * 3 + 1_100);
    const calls = [...callsOf(data)];
    expect(calls.flat()).toEqual(data);
    for (const call of calls) {
      expect(call.length).toBeLessThanOrEqual(MAX_METRICS_PER_CALL);
      expect(Buffer.byteLength(JSON.stringify(call))).toBeLessThan(MAX_BYTES_PER_CALL + 10_000);
    }
  });

  test('are bounded, and tell what found no room', () => {
    const sums = new MetricSums();
    for (let index = 0; index < MAX_METRICS_KEPT + 5; index++) {
      sums.add('RequestCount', 'Count', [['tenant_id', `t${index}`]], 1);
    }
    sums.add('RequestCount', 'Count', [['tenant_id', 't0']], 1);
    sums.add('RequestLatency', 'Milliseconds', [], Number.NaN);
    const { data, dropped } = sums.take(AT);
    expect(data.length).toBe(MAX_METRICS_KEPT);
    expect(data[0]?.Counts).toEqual([2]);
    expect(dropped).toBe(6);
  });
});
