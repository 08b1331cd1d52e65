import { expect, test } from 'vitest';
import { silentLogger } from '#observability/logger.ts';
import { createLastUsed } from '#router/identity/last-used.ts';
import { createRouterFixture } from '../../../test/support/router-fixture.ts';

test('a use is written once a minute at most, whatever the load', async () => {
  const written: [string, number][] = [];
  let time = 0;
  let failing = false;
  const lastUsed = createLastUsed({
    store: {
      async recordUses(uses) {
        if (failing) throw new Error('away');
        for (const { keyId, at } of uses) written.push([keyId, at.getTime()]);
      },
    },
    now: () => 1_000_000 + time,
    monotonicNow: () => time,
    logger: silentLogger,
  });
  for (let i = 0; i < 1_000; i++) lastUsed.record('a');
  lastUsed.record('b');
  await lastUsed.flush();
  expect(written).toEqual([
    ['a', 1_000_000],
    ['b', 1_000_000],
  ]);
  time = 59_999;
  lastUsed.record('a');
  await lastUsed.flush();
  expect(written).toHaveLength(2);
  time = 60_000;
  failing = true;
  lastUsed.record('a');
  await lastUsed.flush();
  failing = false;
  time = 120_000;
  lastUsed.record('a');
  await lastUsed.close();
  expect(written.at(-1)).toEqual(['a', 1_120_000]);
});

test('keys that are used say so in the list, and those that are not do not', async () => {
  const fixture = await createRouterFixture();
  try {
    const used = await fixture.keyOf('globex', 'used');
    await fixture.keyOf('globex', 'unused');
    await fixture.app.inject({ url: '/v1/usage', headers: used });
    await expect
      .poll(
        async () => {
          const list = await fixture.app.inject({
            url: '/admin/tenants/globex/keys',
            headers: fixture.operator,
          });
          const rows: { user_id: string; last_used_at: string | null }[] = list.json().data;
          return rows.map(({ user_id, last_used_at }) => [user_id, last_used_at !== null]);
        },
        { timeout: 20_000, interval: 500 },
      )
      .toEqual([
        ['unused', false],
        ['used', true],
      ]);
  } finally {
    await fixture.close();
  }
}, 30_000);
