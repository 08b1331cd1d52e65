import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { boundTexts } from '#router/request-log/redact-bodies.ts';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

const heapUsed = (): number => {
  if (typeof collect !== 'function') throw new Error('There is no garbage collector to ask.');
  collect();
  return process.memoryUsage().heapUsed;
};

test('what is kept of a long text does not keep all of it in memory', () => {
  const before = heapUsed();
  const kept = Array.from({ length: 50 }, (_, nth) => {
    // A text of one piece, as in a body.
    const text = String(JSON.parse(JSON.stringify(`${nth} text `.repeat(250_000))));
    return boundTexts([{ text, param: 'message' }]);
  });
  expect(kept.map(({ texts, isCut }) => [texts[0]?.text.length, isCut])).toEqual(
    kept.map(() => [16_384, true]),
  );
  expect(kept[7]?.texts[0]?.text.startsWith('7 text 7 text')).toBe(true);
  // A hundred megabytes of texts; a few hundred kilobytes are kept.
  expect(heapUsed() - before).toBeLessThan(30_000_000);
  const halves = boundTexts([{ text: '\ud83d\ude00'.repeat(10_000), param: 'm' }]).texts[0]?.text ?? '';
  expect(halves).toBe('\ud83d\ude00'.repeat(8_192));
});
