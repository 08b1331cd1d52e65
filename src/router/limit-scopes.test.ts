import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRouterFixture } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
beforeAll(async () => {
  fixture = await createRouterFixture();
});
afterAll(() => fixture.close());

const ask = async (headers: Record<string, string>) =>
  fixture.app.inject({ method: 'GET', url: '/v1/models', headers });

test('each user has their own limit besides the tenant’s, and what one is denied costs the tenant nothing', async () => {
  await fixture.setConfig('acme', {
    rate_limits: { requests_per_minute: 5, requests_per_hour: null, per_user: { requests_per_minute: 2 } },
  });
  const [alice, bob, carol] = [
    await fixture.keyOf('acme', 'alice'),
    await fixture.keyOf('acme', 'bob'),
    await fixture.keyOf('acme', 'carol'),
  ];
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) statuses.push((await ask(alice)).statusCode);
  expect(statuses).toEqual([200, 200, 429]);
  expect((await ask(alice)).json().error).toMatchObject({
    code: 'rate_limit_exceeded',
    refusal: { policy: 'rate_limits.per_user.requests_per_minute', limit: 2, current: 2 },
  });
  expect((await ask(bob)).headers).toMatchObject({
    'x-ratelimit-limit-requests': '2',
    'x-ratelimit-remaining-requests': '1',
    'ratelimit-policy': expect.stringMatching(
      /^"requests_per_minute";q=5;w=60;pk=:[^:]{12}:, "per_user\.requests_per_minute";q=2;w=60;pk=:[^:]{12}:$/,
    ),
    // The tenant's third and bob's first.
    ratelimit: expect.stringMatching(
      /^"requests_per_minute";r=2;t=(?:59|60);pk=:[^:]{12}:, "per_user\.requests_per_minute";r=1;t=60;pk=:[^:]{12}:$/,
    ),
  });
  expect((await ask(bob)).statusCode).toBe(200);
  expect((await ask(carol)).statusCode).toBe(200);
  // The fifth of the tenant was the last.
  expect((await ask(carol)).json().error.refusal).toMatchObject({
    policy: 'rate_limits.requests_per_minute',
    limit: 5,
  });
});

test('two keys of one user are limited apart', async () => {
  await fixture.setConfig('globex', {
    rate_limits: { requests_per_minute: null, requests_per_hour: null, per_key: { requests_per_hour: 1 } },
  });
  const [first, second] = [await fixture.keyOf('globex', 'gus'), await fixture.keyOf('globex', 'gus')];
  expect((await ask(first)).statusCode).toBe(200);
  const denied = await ask(first);
  expect(denied.json().error.refusal).toMatchObject({ policy: 'rate_limits.per_key.requests_per_hour' });
  expect(denied.headers['ratelimit-policy']).toMatch(
    /^"per_key\.requests_per_hour";q=1;w=3600;pk=:[^:]{12}:$/,
  );
  const partitionOf = (header: unknown) => /pk=(:[^:]+:)/.exec(String(header))?.[1];
  const admitted = await ask(second);
  expect(admitted.headers.ratelimit).toMatch(/^"per_key\.requests_per_hour";r=0;t=3600;pk=:[^:]{12}:$/);
  expect(partitionOf(admitted.headers.ratelimit)).not.toBe(partitionOf(denied.headers.ratelimit));
  expect(admitted.statusCode).toBe(200);
});
