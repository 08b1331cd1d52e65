import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TurnRequest } from '#app/schemas/turn.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import { silentLogger } from '#observability/logger.ts';
import { createOrchestrator } from '#orchestrator/orchestrator.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { seamRag } from '#test/support/router-fixture.ts';
import { testContext } from '#test/support/test-context.ts';

const PIECE = 'x'.repeat(1_024);
let open: Awaited<ReturnType<typeof createTestDatabase>>;
beforeAll(async () => {
  open = await createTestDatabase();
});
afterAll(() => open.close());

/** An engine that writes as fast as it is read, without end. */
function endlessEngine() {
  const state = { written: 0, isClosed: false };
  const engine: InferenceEngine = {
    name: 'endless',
    defaultModel: 'm',
    async *generate() {
      try {
        for (;;) {
          state.written += 1;
          const choices = [{ index: 0, delta: { content: PIECE }, finish_reason: null }];
          yield [{ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices }];
          await delay(0);
        }
      } finally {
        state.isClosed = true;
      }
    },
    listModels: async () => [],
    checkReady: async () => {},
  };
  return { engine, state };
}

test('a reader that is slow holds the engine up, and one that leaves ends it', async () => {
  const { engine, state } = endlessEngine();
  const { database } = open;
  const orchestrator = createOrchestrator({ database, rag: seamRag(), engine, logger: silentLogger });
  const request: TurnRequest = {
    route: 'chat',
    model: null,
    messages: [{ role: 'user', content: 'Hi' }],
    persist: false,
    sampling: {},
    engine_parameters: {},
    policy: { blocked_tools: [], rag: { top_k: 1, rerank: false, diversity: 0 } },
  };
  let read = 0;
  for await (const batch of orchestrator.runTurn(
    testContext('acme'),
    request,
    new AbortController().signal,
  )) {
    read += batch.filter(({ type }) => type === 'delta').length;
    if (read === 0) continue;
    // Held up: with its buffer of 64 KiB full, it writes no more.
    let before = -1;
    while (before !== state.written) {
      before = state.written;
      await delay(200);
    }
    expect(state.written - read).toBeLessThanOrEqual(70);
    if (read > 300) break;
  }
  await expect.poll(() => state.isClosed).toBe(true);
});
