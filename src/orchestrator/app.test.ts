import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { createDrain } from '#app/http/drain.ts';
import {
  createForwardedTokens,
  createInternalTokenMinter,
  createInternalTokenVerifier,
  FORWARDED_RAG_TOKEN_HEADER,
  type InternalTokenSource,
} from '#app/http/internal-token.ts';
import type { TurnEvent, TurnRequest } from '#app/schemas/turn.ts';
import { createOrchestratorClient } from '#app/services/orchestrator-client.ts';
import { ORCHESTRATOR_PATHS } from '#app/services/orchestrator-http.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { silentLogger } from '#observability/logger.ts';
import { buildOrchestratorApp } from '#orchestrator/app.ts';
import { itemsOf, oneByOne } from '#test/support/batches.ts';
import { textAt } from '#test/support/http-client.ts';
import { testContext } from '#test/support/test-context.ts';

const pem = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    private: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    public: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
};
const router = pem();
const forwardedTokens = createForwardedTokens();
const alice = testContext('acme');
const turn: TurnRequest = {
  route: 'chat',
  model: null,
  messages: [{ role: 'user', content: 'Hi' }],
  persist: false,
  sampling: {},
  engine_parameters: {},
  policy: { blocked_tools: [], rag: { top_k: 4, rerank: false, diversity: 0 } },
};
const started: TurnEvent = {
  type: 'started',
  conversation_id: null,
  route: 'chat',
  model: 'm',
  engine: 'e',
};

type Run = (context: TenantContext, request: TurnRequest, signal: AbortSignal) => AsyncIterable<TurnEvent>;
let runTurn: Run;
let app: FastifyInstance;
let baseUrl: string;
let tokens: InternalTokenSource;
const drain = createDrain();

const unused = () => Promise.reject(new BulkheadError('not_found', 'There is no such conversation.'));
const service: OrchestratorService = {
  runTurn: (context, request, signal) => oneByOne(runTurn(context, request, signal)),
  listEngineModels: async () => [],
  listConversations: unused,
  getConversation: unused,
  deleteConversation: unused,
  checkReady: async () => ({}),
};

beforeAll(async () => {
  tokens = await createInternalTokenMinter(router.private);
  app = buildOrchestratorApp({
    service,
    verifier: await createInternalTokenVerifier(router.public, 'orchestrator'),
    forwardedTokens,
    settings: { MAX_BODY_BYTES: 1_000 },
    logger: silentLogger,
    heartbeatMs: 20,
    drain,
    dependencies: () => ({ engine: 'failed' }),
  });
  baseUrl = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  app.server.closeAllConnections();
  await app.close();
});
beforeEach(() => {
  runTurn = async function* () {
    yield started;
  };
});

const post = async (headers: Record<string, string>, body: unknown = turn) =>
  fetch(`${baseUrl}${ORCHESTRATOR_PATHS.turn}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const bearer = async (audience: 'orchestrator' | 'rag-service' = 'orchestrator', source = tokens) => ({
  authorization: `Bearer ${await source.tokenFor(alice, audience)}`,
});

describe('who may call', () => {
  it('nobody without a live token of the router for this service', async () => {
    const stranger = await createInternalTokenMinter(pem().private);
    const attempts = [
      {},
      { 'x-tenant-id': 'acme' },
      { authorization: 'Bearer x' },
      await bearer('rag-service'),
      await bearer('orchestrator', stranger),
      { authorization: (await bearer()).authorization.replace('Bearer', 'Basic') },
    ];
    for (const headers of attempts) expect((await post(headers as Record<string, string>)).status).toBe(401);
    expect((await fetch(`${baseUrl}${ORCHESTRATOR_PATHS.conversations}`)).status).toBe(401);
    expect((await fetch(`${baseUrl}/healthz`)).status).toBe(200);
    const ready = await fetch(`${baseUrl}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { status: 'ready', checks: { engine: 'failed' } },
    ]);
  });

  it('the token alone says whose turn it is', async () => {
    let seen: TenantContext | undefined;
    runTurn = async function* (context) {
      seen = context;
      yield started;
    };
    await (
      await post(
        { ...(await bearer()), 'x-tenant-id': 'globex', 'x-user-id': 'bob' },
        { ...turn, tenant_id: 'globex', user_id: 'bob' },
      )
    ).text();
    expect(seen).toMatchObject({ tenantId: 'acme', userId: 'alice' });
  });

  it('the token for the RAG service is forwarded with its own turn only', async () => {
    const forwarded: (string | null)[] = [];
    const contexts: TenantContext[] = [];
    runTurn = async function* (context) {
      contexts.push(context);
      forwarded.push(await forwardedTokens.tokenFor(context, 'rag-service').catch(() => null));
      yield started;
    };
    await (await post({ ...(await bearer()), [FORWARDED_RAG_TOKEN_HEADER]: 'the-token' })).text();
    await (await post(await bearer())).text();
    expect(forwarded).toEqual(['the-token', null]);
    // And nobody keeps it when the turn is over.
    for (const context of contexts) {
      await expect
        .poll(() => forwardedTokens.tokenFor(context, 'rag-service').catch((error: Error) => error.message))
        .toBe('The call to the rag-service failed: the router sent no token for it.');
    }
  });
});

it('a client gives an answer that does not come up, and says after how long', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const client = createOrchestratorClient({
    baseUrl: `http://127.0.0.1:${port}`,
    tokens,
    requestTimeoutMs: 50,
  });
  const listed = client.listConversations(alice, { limit: 1 }, new AbortController().signal);
  await expect(listed).rejects.toMatchObject({
    code: 'service_unavailable',
    message: 'The orchestrator did not answer within 50 ms.',
  });
  const leaving = AbortSignal.abort(new Error('left'));
  await expect(client.listConversations(alice, { limit: 1 }, leaving)).rejects.toThrow('left');
  silent.closeAllConnections();
  silent.close();
  await client.close();
});

describe('bodies', () => {
  it.each<[string, unknown, number, string | null]>([
    ['no JSON', '{', 400, null],
    ['no messages', { ...turn, messages: [] }, 400, 'messages'],
    ['a foreign kind of id', { ...turn, conversation_id: '../x' }, 400, 'conversation_id'],
    ['a wrong type', { ...turn, persist: 'yes' }, 400, 'persist'],
    ['too much', { ...turn, filler: 'x'.repeat(1_100_000) }, 413, null],
  ])('%s: %i, naming the field', async (_what, body, status, param) => {
    const response = await post(await bearer(), body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { param } });
  });

  it('a bad id in a path is a 400', async () => {
    const response = await fetch(`${baseUrl}${ORCHESTRATOR_PATHS.conversations}/conv_x`, {
      headers: await bearer(),
    });
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { error: { param: 'conversation_id' } },
    ]);
  });
});

describe('streams', () => {
  it('a failure before the first event has its status; one after it is the last line', async () => {
    // biome-ignore lint/correctness/useYield: it fails first.
    runTurn = async function* () {
      throw new BulkheadError('not_found', 'There is no such conversation.');
    };
    expect((await post(await bearer())).status).toBe(404);
    runTurn = async function* () {
      yield started;
      throw new Error('a secret of the inside');
    };
    const text = await (await post(await bearer())).text();
    const last = JSON.parse(text.trim().split('\n').at(-1) ?? '');
    expect(last).toMatchObject({
      type: 'error',
      error: { code: 'internal_error', request_id: alice.requestId },
    });
    expect(text).not.toContain('secret');
  });

  it('a turn that ends without its last event is an error to the client', async () => {
    const client = createOrchestratorClient({ baseUrl, tokens });
    await expect(async () => {
      for await (const _ of client.runTurn(alice, turn, new AbortController().signal));
    }).rejects.toMatchObject({ code: 'service_unavailable' });
    await client.close();
  });

  it('a silent engine is kept alive with empty lines, which the client does not see', async () => {
    runTurn = async function* () {
      yield started;
      await delay(150);
      yield {
        type: 'finished',
        finish_reason: 'stop',
        token_usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
        citations: [],
        chunk_ids: [],
        refusal_reason: null,
        timings: { retrieve_ms: 0, generate_ms: 0, first_token_ms: null },
      };
    };
    expect(await (await post(await bearer())).text()).toMatch(/\n\n/);
    const client = createOrchestratorClient({ baseUrl, tokens });
    const seen: string[] = [];
    for await (const { type } of itemsOf(client.runTurn(alice, turn, new AbortController().signal)))
      seen.push(type);
    expect(seen).toEqual(['started', 'finished']);
    await client.close();
  });

  it('a router that leaves aborts the turn, and a slow one holds the engine back', async () => {
    let written = 0;
    let ended: (() => void) | undefined;
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    runTurn = async function* (_context, _request, signal) {
      try {
        yield started;
        for (;;) {
          signal.throwIfAborted();
          written += 1;
          yield { type: 'delta', text: 'x'.repeat(65_536) };
        }
      } finally {
        ended?.();
      }
    };
    const controller = new AbortController();
    const response = await fetch(`${baseUrl}${ORCHESTRATOR_PATHS.turn}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(await bearer()) },
      body: JSON.stringify(turn),
      signal: controller.signal,
    });
    expect(response.status).toBe(200);
    let before = -1;
    while (before !== written) {
      before = written;
      await delay(100);
    }
    controller.abort();
    await end;
    expect(written).toBeLessThan(1_000);
  });
});

// The last of this file: its end is that of the app.
describe('when the drain time is over', () => {
  it('a turn ends with a line that says so, and one that has not begun with a 503', async () => {
    runTurn = async function* (_context, _turn, signal) {
      yield started;
      await delay(60_000, undefined, { signal });
    };
    const begun = await post(await bearer());
    drain.end();
    const lines = (await begun.text()).split('\n').filter((line) => line !== '');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { type: 'started' },
      { type: 'error', error: { code: 'shutting_down' } },
    ]);
    runTurn = async function* (_context, _turn, signal) {
      signal.throwIfAborted();
      yield started;
    };
    const late = await post(await bearer());
    expect([late.status, textAt(await late.json(), 'error.code')]).toEqual([503, 'shutting_down']);
  });
});
