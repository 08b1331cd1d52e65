import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDrain, type Drain } from '#app/http/drain.ts';
import { textAt } from '#test/support/http-client.ts';
import { createRouterFixture, endless, threeWords } from '#test/support/router-fixture.ts';

let drain: Drain;
let router: Awaited<ReturnType<typeof createRouterFixture>>;
let base: string;
beforeEach(async () => {
  drain = createDrain();
  router = await createRouterFixture({ drain });
  base = await router.app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => router.close());

const codeOf = (body: unknown) => textAt(body, 'error.code');

const chat = async (stream: boolean) =>
  fetch(`${base}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...(await router.keyOf('acme')), 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'bulkhead-chat', stream, messages: [{ role: 'user', content: 'hello' }] }),
  });

test('a router that drains is not ready, and serves', async () => {
  drain.begin();
  const ready = await fetch(`${base}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'not_ready', checks: null }]);
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  router.script.turn = threeWords;
  const answer = await chat(false);
  expect(answer.status).toBe(200);
  await answer.text();
});

test('when the drain time is over, a stream ends with an error event and a call with a 503, each with its row', async () => {
  router.script.turn = endless;
  const stream = await chat(true);
  const call = chat(false);
  await expect.poll(() => router.turns.length, { timeout: 20_000 }).toBe(2);
  drain.begin();
  drain.end();

  const text = await stream.text();
  expect(text).toContain('first ');
  expect(text.trimEnd().split('\n').at(-1)).toMatch(/^data: \{"error":.*"code":"shutting_down"/);
  const refused = await call;
  expect([refused.status, codeOf(await refused.json())]).toEqual([503, 'shutting_down']);
  expect(refused.headers.get('retry-after')).toBe('1');
  const rows = await router.usageRows();
  expect(rows.map(({ status, outcome }) => [status, outcome])).toEqual([
    [503, 'error'],
    [503, 'error'],
  ]);
});

test('what does not heed its end is answered all the same, and what comes later at once', async () => {
  // As a call that cannot be cancelled.
  router.script.turn = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) });
  const call = chat(false);
  await expect.poll(() => router.turns.length, { timeout: 20_000 }).toBe(1);
  drain.end();
  for (const answer of [await call, await chat(false)]) {
    expect([answer.status, codeOf(await answer.json())]).toEqual([503, 'shutting_down']);
  }
});
