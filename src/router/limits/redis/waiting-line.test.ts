import { expect, it } from 'vitest';
import { WaitingLine } from '#router/limits/redis/waiting-line.ts';

it('lets so many in at once, the others in their order', async () => {
  const line = new WaitingLine(3);
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 5_000 }, async (_, number) => {
      await line.enter();
      order.push(number);
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      line.leave();
    }),
  );
  expect(most).toBe(3);
  expect(order).toEqual(Array.from({ length: 5_000 }, (_, number) => number));
  // Nobody holds a place any more.
  expect([line.enter(), line.enter(), line.enter()]).toEqual([null, null, null]);
});
