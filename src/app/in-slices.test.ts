import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { atOnce, inSlices } from '#app/in-slices.ts';

function* busySteps(steps: number, stepMs: number): Generator<void, string> {
  for (let step = 0; step < steps; step++) {
    for (const until = performance.now() + stepMs; performance.now() < until; );
    yield;
  }
  return 'done';
}

test('work in slices lets the event loop turn, and has the result that it has at once', async () => {
  let turns = 0;
  let isOver = false;
  const work = inSlices(busySteps(20, 2), { tenantId: 'acme' }).finally(() => {
    isOver = true;
  });
  for (; !isOver; turns++) await turnOfLoop();
  expect(turns).toBeGreaterThan(5);
  expect(await work).toBe(atOnce(busySteps(1, 0)));
});

test('work stops where its signal is aborted, and throws what it throws', async () => {
  const leaving = new AbortController();
  const work = inSlices(busySteps(1_000_000, 2), { tenantId: 'acme', signal: leaving.signal });
  leaving.abort(new Error('left'));
  await expect(work).rejects.toThrow('left');
  // biome-ignore lint/correctness/useYield: it throws before.
  const broken = (function* (): Generator<void, never> {
    throw new RangeError('broken');
  })();
  await expect(inSlices(broken, { tenantId: 'acme' })).rejects.toThrow('broken');
});
