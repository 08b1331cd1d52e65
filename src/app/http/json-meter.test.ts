import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonMeter, MAX_JSON_NAMES } from '#app/http/json-meter.ts';

const take = (text: string) => new JsonMeter().take(Buffer.from(text));
/** Past what is let through uncounted. */
const padded = (json: string) => `["${'x'.repeat(70_001)}",${json}]`;
const objects = (count: number, name: (n: number) => string) =>
  `[${Array.from({ length: count }, (_, n) => `{${JSON.stringify(name(n))}:1}`).join(',')}]`;

test('counts different names, not how often they come', () => {
  expect(take(objects(40_000, (n) => `name ${n % 1_000}`))).toBeNull();
  expect(take(objects(MAX_JSON_NAMES, (n) => `name ${n}`))).toBeNull();
  expect(take(objects(MAX_JSON_NAMES + 1, (n) => `name ${n}`))).toBe('names');
});

test('takes for a name what a colon follows, after whatever blanks', () => {
  const named = (blanks: string) =>
    padded(`{${Array.from({ length: 10_001 }, (_, n) => `"${n}"${blanks}:1`).join(',')}}`);
  for (const blanks of ['', ' ', '\n\t \r']) expect(take(named(blanks))).toBe('names');
  expect(take(padded(`[${Array.from({ length: 10_001 }, (_, n) => `"${n}:"`).join(',')}]`))).toBeNull();
});

test('finds the end of any text, with quotes and backslashes at any distance', () => {
  const text = fc
    .array(
      fc.oneof(
        fc.constantFrom('"', '\\', '\\\\', 'é', '[', '{', ':', '"a":'),
        fc.integer({ min: 200, max: 600 }),
      ),
    )
    .map((parts) => parts.map((part) => (typeof part === 'number' ? 'x'.repeat(part) : part)).join(''));
  const fill = Array(99_990).fill('""').join(',');
  fc.assert(
    fc.property(text, (value) => {
      // All in all 99,995 values: one that was miscounted as ten would be too many.
      const json = JSON.stringify({ a: value, b: 1 }).replace('"b":1', `"b":[${fill}]`);
      expect(take(json)).toBeNull();
      expect(take(json.replace('""]', `""${',""'.repeat(6)}]`))).toBe('values');
    }),
    { numRuns: 25 },
  );
});

test('counts what several texts hold together', () => {
  const meter = new JsonMeter();
  const text = (part: number) => objects(4_000, (n) => `${part} ${n}`);
  const taken = Array.from({ length: 5 }, (_, part) => meter.take(text(part)));
  // The first is let through uncounted.
  expect(taken).toEqual([null, null, null, 'names', 'names']);
});
