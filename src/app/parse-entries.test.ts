import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { atMostEvery } from '#app/at-most-every.ts';
import { parseEntries } from '#app/parse-entries.ts';

const schema = z.object({ id: z.string() });

describe('parseEntries', () => {
  it('keeps what fits, in order, and tells how much did not', () => {
    const reports: unknown[] = [];
    const entries = [{ id: 'a' }, null, { id: 1 }, { id: 'b', more: true }];
    const read = parseEntries(schema, entries, ({ skipped, total, first }) =>
      reports.push([skipped, total, first.issues[0]?.code]),
    );
    expect(read).toEqual([{ id: 'a' }, { id: 'b' }]);
    expect(reports).toEqual([[2, 4, 'invalid_type']]);
  });

  it('reports nothing where everything fits', () => {
    expect(parseEntries(schema, [{ id: 'a' }], () => expect.unreachable())).toEqual([{ id: 'a' }]);
  });
});

it('a report that is repeated is dropped until its time has passed', () => {
  let now = 0;
  const seen: number[] = [];
  const report = atMostEvery(
    1_000,
    () => now,
    (nth: number) => seen.push(nth),
  );
  for (now = 0; now <= 2_500; now += 500) report(now);
  expect(seen).toEqual([0, 1_000, 2_000]);
});
