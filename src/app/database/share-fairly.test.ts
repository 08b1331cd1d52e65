import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { testContext } from '#test/support/test-context.ts';

let open: OpenDatabase & { close(): Promise<void> };

beforeAll(async () => {
  open = await createTestDatabase();
});
afterAll(() => open.close());

const globex = testContext('globex', 'bob');
const acme = testContext('acme', 'alice');

test('a tenant with many transactions delays another’s by two, and the platform’s kinds of work take turns too', async () => {
  const order: string[] = [];
  const query = (name: string) => async (transaction: { query(text: string): Promise<unknown> }) => {
    await transaction.query('SELECT 1');
    order.push(name);
  };
  await Promise.all([
    ...Array.from({ length: 200 }, () => open.database.asUser(globex, query('globex'))),
    ...Array.from({ length: 200 }, () => open.database.asSystem(query('usage'), 'platform:usage')),
    open.database.asTenant(acme, query('acme')),
    open.database.asSystem(query('credentials'), 'platform:credentials'),
  ]);
  expect(order).toHaveLength(402);
  expect(order.indexOf('acme')).toBeLessThan(8);
  expect(order.indexOf('credentials')).toBeLessThan(8);
  // Two backlogged lanes share evenly.
  const first = order.slice(0, 100).filter((name) => name === 'globex').length;
  expect(first).toBeGreaterThan(40);
  expect(first).toBeLessThan(60);
});

test('a transaction within a transaction is refused, one after it is not', async () => {
  let later: Promise<number> | undefined;
  const inner = () => open.database.asSystem(async () => 1);
  const nested = open.database.asUser(acme, async () => {
    later = delay(20).then(inner);
    return inner();
  });
  await expect(nested).rejects.toThrow('must not begin within another');
  expect(await later).toBe(1);
});

test('readiness does not wait behind transactions that wait', async () => {
  const many = Array.from({ length: 300 }, () =>
    open.database.asUser(globex, (transaction) => transaction.query('SELECT pg_sleep(0.01)')),
  );
  const started = performance.now();
  await open.database.checkReady(5_000);
  const took = performance.now() - started;
  let pending = 300;
  for (const one of many) void one.then(() => (pending -= 1));
  await delay(0);
  expect(pending).toBeGreaterThan(100);
  await Promise.all(many);
  expect(took).toBeLessThan(5_000);
});
