import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { VLLMClient } from '#inference/vllm-client.ts';
import { silentLogger } from '#observability/logger.ts';
import { createOrchestrator } from '#orchestrator/orchestrator.ts';
import {
  type CountingEngine,
  type EngineScript,
  startCountingEngine,
} from '#test/support/counting-engine.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { createRouterFixture, seamRag } from '#test/support/router-fixture.ts';

const BUDGET = 5;
/** Tokens of an answer, where a request names no length. */
const ANSWER_TOKENS = 1_000;
/** US dollars: 1,000 tokens cost one. */
const PER_MILLION = 1_000;
const TURNS = 20;

let open: Awaited<ReturnType<typeof createTestDatabase>>;
beforeAll(async () => {
  open = await createTestDatabase();
});
afterAll(() => open.close());

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function setUp(
  engineOptions: Parameters<typeof startCountingEngine>[0],
  config: Record<string, unknown>,
) {
  const server = await startCountingEngine(engineOptions);
  closing.push(server.close);
  const engine = new VLLMClient({
    baseUrl: server.baseUrl,
    defaultModel: 'served',
    cacheSaltSecret: 'a secret of at least thirty-two characters',
  });
  closing.push(() => engine.close());
  const router = await createRouterFixture({
    orchestrator: createOrchestrator({
      database: open.database,
      rag: seamRag(),
      engine,
      logger: silentLogger,
    }),
    settings: {
      ANSWER_TOKENS,
      PRICE_PER_MILLION_PROMPT_TOKENS_USD: PER_MILLION,
      PRICE_PER_MILLION_COMPLETION_TOKENS_USD: PER_MILLION,
    },
  });
  closing.push(() => router.close());
  await router.setConfig('acme', config);
  return { server, router, headers: await router.keyOf('acme') };
}

const script = (pieces: number, tag = 'turn'): string =>
  JSON.stringify({ tag, pieces, ending: 'finish' } satisfies EngineScript);
const spentAt = ({ served }: CountingEngine) =>
  [...served.values()].reduce((sum, turn) => sum + turn.promptTokens + turn.completionTokens, 0);

describe('twenty turns at once on a small budget', () => {
  it.each([
    ['an engine that obeys max_tokens', true, false],
    ['an engine that obeys max_tokens, streamed', true, true],
    ['an engine that writes on', false, false],
    ['an engine that writes on, streamed', false, true],
  ])('spend no more than one turn beyond it: %s', async (_what, obeysMaxTokens, stream) => {
    const mayAnswer = Promise.withResolvers<void>();
    const { server, router, headers } = await setUp(
      { obeysMaxTokens, mayAnswer: mayAnswer.promise },
      { budget_usd_per_month: BUDGET },
    );
    const payload = { model: 'served', stream, messages: [{ role: 'user', content: script(8_000) }] };
    const ask = () => router.app.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload });
    const answers = Array.from({ length: TURNS }, ask);
    // All that were let in are at the engine, and the rest are refused.
    let refused = 0;
    for (const answer of answers)
      void answer.then(({ statusCode }) => (refused += Number(statusCode === 429)));
    await expect.poll(() => refused + server.served.size, { timeout: 30_000 }).toBe(TURNS);
    mayAnswer.resolve();
    const all = await Promise.all(answers);
    const done = all.filter(({ statusCode }) => statusCode === 200);
    expect(done.length).toBeGreaterThanOrEqual(4);
    for (const { body } of done) expect(body.includes('"finish_reason":"length"')).toBe(true);

    const rows = await router.usageRows();
    const cost = rows.reduce((sum, row) => sum + Number(row.cost_usd), 0);
    const ofOneTurn = ((ANSWER_TOKENS + 100) * PER_MILLION) / 1_000_000;
    expect(cost).toBeGreaterThan(BUDGET - 2 * ofOneTurn);
    expect(cost).toBeLessThanOrEqual(BUDGET + ofOneTurn);
    const tokens = rows.reduce(
      (sum, row) => sum + Number(row.prompt_tokens) + Number(row.completion_tokens),
      0,
    );
    // Where the engine was cut off, what it had written until it noticed was never taken.
    if (obeysMaxTokens) expect(tokens).toBe(spentAt(server));
    else expect(tokens).toBeLessThanOrEqual(TURNS * (ANSWER_TOKENS + 100));
  });

  it('may have answers as long as they ask for, which are held in full', async () => {
    const { server, router, headers } = await setUp({}, { budget_usd_per_month: 20 });
    const payload = {
      model: 'served',
      messages: [{ role: 'user', content: script(8_000) }],
      max_tokens: 8_000,
    };
    const answers = await Promise.all(
      Array.from({ length: TURNS }, () =>
        router.app.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload }),
      ),
    );
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(3);
    expect(spentAt(server)).toBe(3 * 8_007);
  });
});

it('tokens a minute are not passed by more than one turn either', async () => {
  const { server, router, headers } = await setUp({}, { rate_limits: { tokens_per_minute: 5_000 } });
  const payload = { model: 'served', messages: [{ role: 'user', content: script(8_000) }] };
  const ask = () => router.app.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload });
  const answers = await Promise.all(Array.from({ length: TURNS }, ask));
  expect(answers.some(({ statusCode }) => statusCode === 200)).toBe(true);
  expect(spentAt(server)).toBeLessThanOrEqual(5_000 + ANSWER_TOKENS + 100);
});

it('without a budget or a limit of tokens, the engine decides how long an answer is', async () => {
  const { router, headers } = await setUp({}, { rate_limits: { tokens_per_minute: null } });
  const payload = { model: 'served', messages: [{ role: 'user', content: script(3_000) }] };
  const answer = await router.app.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload });
  expect(answer.json()).toMatchObject({
    choices: [{ finish_reason: 'stop' }],
    usage: { completion_tokens: 3_000 },
  });
});
