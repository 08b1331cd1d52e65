import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { turnOfTenant } from '#app/turn-of-tenant.ts';

test('one piece of work goes on in each turn of the event loop, and tenants take turns', async () => {
  const order: string[] = [];
  let isOver = false;
  const work = async (tenantId: string, name: string, slices: number) => {
    for (let slice = 0; slice < slices; slice++) {
      await turnOfTenant(tenantId);
      order.push(name);
    }
  };
  const loop = (async () => {
    while (!isOver) {
      await turnOfLoop();
      order.push('|');
    }
  })();
  await Promise.all([
    work('globex', 'g1', 3),
    work('globex', 'g2', 3),
    work('globex', 'g3', 3),
    work('acme', 'a1', 3),
    work('initech', 'i1', 2),
  ]);
  isOver = true;
  await loop;
  const slices = order
    .join(' ')
    .split('|')
    .map((turn) => turn.trim());
  // Never two between turns of the loop, which serve everybody else.
  for (const slice of slices) expect(slice).not.toContain(' ');
  expect(slices.filter((slice) => slice !== '')).toEqual([
    'g1',
    'a1',
    'i1',
    'g2',
    'a1',
    'i1',
    'g3',
    'a1',
    'g1',
    'g2',
    'g3',
    'g1',
    'g2',
    'g3',
  ]);
});
