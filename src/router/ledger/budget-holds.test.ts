import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorBodyOf } from '#test/support/error-body-of.ts';
import { createRouterFixture, seamRag, type TurnScript, threeWords } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let headers: { authorization: string };
/** Told when a model is at work, which it is until it is let go. */
let begun = Promise.withResolvers<void>();
let letGo = Promise.withResolvers<void>();
const work = async () => {
  begun.resolve();
  await letGo.promise;
};
const waiting: TurnScript = async function* (context, request, signal) {
  await work();
  yield* threeWords(context, request, signal);
};

beforeAll(async () => {
  const rag = seamRag();
  fixture = await createRouterFixture({
    settings: { PRICE_PER_MILLION_PROMPT_TOKENS_USD: 0, PRICE_PER_MILLION_COMPLETION_TOKENS_USD: 0 },
    rag: {
      ...rag,
      async embedTexts(context, request, signal) {
        await work();
        return rag.embedTexts(context, request, signal);
      },
    },
  });
  headers = await fixture.keyOf('acme');
  await fixture.setConfig('acme', { budget_usd_per_month: 100 });
  // A dollar a token.
  const price = (model: string, prompt: number, completion: number) => ({
    model,
    usd_per_million_prompt_tokens: prompt,
    usd_per_million_completion_tokens: completion,
  });
  const prices = [price('bulkhead-embed', 1_000_000, 0), price('default-model', 0, 1_000_000)];
  await setPrices(prices);
});
afterAll(() => fixture.close());
async function setPrices(prices: readonly object[]): Promise<void> {
  const put = {
    method: 'PUT' as const,
    url: '/admin/prices',
    headers: fixture.operator,
    payload: { prices },
  };
  expect((await fixture.app.inject(put)).statusCode).toBe(200);
}

/** The statuses of two at once, of which the first alone leaves no budget for the second. */
async function twoAtOnce(url: string, payload: object): Promise<(string | number)[]> {
  begun = Promise.withResolvers<void>();
  letGo = Promise.withResolvers<void>();
  const ask = () => fixture.app.inject({ method: 'POST', url, headers, payload });
  const first = ask();
  await begun.promise;
  const second = ask();
  // Where it is let through as well, it waits for the same.
  await Promise.race([second, delay(500)]);
  letGo.resolve();
  const [one, other] = await Promise.all([first, second]);
  return [one.statusCode, other.statusCode, other.statusCode === 200 ? '' : errorBodyOf(other).code];
}

test('texts that are only read are held at what reading them costs', async () => {
  const payload = { model: 'bulkhead-embed', input: ['word '.repeat(100)] };
  expect(await twoAtOnce('/v1/embeddings', payload)).toEqual([200, 429, 'budget_exceeded']);
});

test('a turn that names no model is held at the price of the dearest, and then of the one that answers', async () => {
  fixture.script.turn = waiting;
  const payload = { message: 'hi', route: 'chat', max_tokens: 1_000 };
  expect(await twoAtOnce('/v1/chat', payload)).toEqual([200, 429, 'budget_exceeded']);
  // Its model is known by now, and dearer ones count no more.
  const dear = { model: 'other', usd_per_million_prompt_tokens: 0, usd_per_million_completion_tokens: 1e6 };
  const cheap = { ...dear, model: 'default-model', usd_per_million_completion_tokens: 0 };
  await setPrices([dear, cheap]);
  expect(await twoAtOnce('/v1/chat', payload)).toEqual([200, 200, '']);
});
