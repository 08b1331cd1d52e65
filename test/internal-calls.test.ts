import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { importPKCS8, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { ERROR_CATALOGUE, type ErrorCode } from '#app/errors/catalogue.ts';
import { openAIErrorBody } from '#app/errors/error-body.ts';
import { createDrain } from '#app/http/drain.ts';
import {
  createForwardedTokens,
  createInternalTokenMinter,
  createInternalTokenVerifier,
  type InternalTokenSource,
} from '#app/http/internal-token.ts';
import type { CallFault } from '#app/http/service-connection.ts';
import { newConversationId } from '#app/ids.ts';
import { toPage } from '#app/schemas/page.ts';
import { createOrchestratorClient } from '#app/services/orchestrator-client.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import { silentLogger } from '#observability/logger.ts';
import { reportCallFaults } from '#observability/report-call-faults.ts';
import { buildOrchestratorApp } from '#orchestrator/app.ts';
import { createRouterFixture, seamOrchestrator, threeWords } from '#test/support/router-fixture.ts';
import { testContext } from '#test/support/test-context.ts';

const pemOf = (key: KeyObject, type: 'pkcs8' | 'spki') => key.export({ type, format: 'pem' }).toString();
const newKeys = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { privatePem: pemOf(privateKey, 'pkcs8'), publicPem: pemOf(publicKey, 'spki') };
};
const keys = newKeys();
const alice = testContext('acme');
const ever = new AbortController().signal;
const emptyPage = toPage([], 1, () => '');
const EMPTY = JSON.stringify(emptyPage);

let domain: () => unknown = () => emptyPage;
const service: OrchestratorService = {
  ...seamOrchestrator({ turn: threeWords }).service,
  // What each test throws or answers.
  listConversations: async () => domain() as never,
  getConversation: async () => domain() as never,
};
let app: FastifyInstance;
let baseUrl: string;
let tokens: InternalTokenSource;
let faults: CallFault[] = [];
const clients: { close(): Promise<void> }[] = [];
const servers: Server[] = [];

beforeAll(async () => {
  tokens = await createInternalTokenMinter(keys.privatePem);
  app = buildOrchestratorApp({
    service,
    verifier: await createInternalTokenVerifier(keys.publicPem, 'orchestrator'),
    forwardedTokens: createForwardedTokens(),
    settings: { MAX_BODY_BYTES: 1_000 },
    logger: silentLogger,
    drain: createDrain(),
    dependencies: () => ({}),
  });
  baseUrl = await app.listen({ host: '127.0.0.1', port: 0 });
});
beforeEach(() => {
  faults = [];
  domain = () => emptyPage;
});
afterAll(async () => {
  for (const client of clients) await client.close();
  for (const server of servers) server.close();
  app.server.closeAllConnections();
  await app.close();
});

function clientOf(options: Partial<Parameters<typeof createOrchestratorClient>[0]> = {}) {
  const onFault = (fault: CallFault) => void faults.push(fault);
  const client = createOrchestratorClient({ baseUrl, tokens, onFault, ...options });
  clients.push(client);
  return client;
}

async function serverOf(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Tokens as a router mints them whose clock is off by so many seconds. */
async function tokensOff(seconds: number, privatePem = keys.privatePem): Promise<InternalTokenSource> {
  const key = await importPKCS8(privatePem, 'EdDSA');
  const sign = (claims: Record<string, unknown>, typ: string, audience: string) => {
    const issued = Math.floor(Date.now() / 1_000) + seconds;
    return new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'EdDSA', typ })
      .setIssuer('bulkhead-router')
      .setAudience(audience)
      .setIssuedAt(issued)
      .setNotBefore(issued)
      .setExpirationTime(issued + 60)
      .sign(key);
  };
  return {
    tokenFor: (context, audience) =>
      sign(
        {
          tenant_id: context.tenantId,
          user_id: context.userId,
          role: context.role,
          scopes: context.scopes,
          key_id: context.keyId,
          collections: context.collections,
          request_id: context.requestId,
        },
        'bulkhead-internal+jwt',
        audience,
      ),
    probeTokenFor: (audience) => sign({}, 'bulkhead-probe+jwt', audience),
  };
}

const list = (client = clientOf()) => client.listConversations(alice, { limit: 1 }, ever);

describe('the internal token', () => {
  it('is made when the call is sent, after the wait for a connection', async () => {
    const events: string[] = [];
    const waiting: (() => void)[] = [];
    const slow = await serverOf((_request, response) => {
      events.push('received');
      waiting.push(() => response.end(EMPTY));
    });
    const counted: InternalTokenSource = {
      tokenFor: async (context, audience) => {
        events.push('minted');
        return tokens.tokenFor(context, audience);
      },
    };
    const client = clientOf({ baseUrl: slow, tokens: counted, shortCalls: 1 });
    const calls = [list(client), list(client)];
    await expect.poll(() => waiting.length).toBe(1);
    expect(events).toEqual(['minted', 'received']);
    waiting.shift()?.();
    await expect.poll(() => waiting.length).toBe(1);
    waiting.shift()?.();
    await Promise.all(calls);
    expect(events).toEqual(['minted', 'received', 'minted', 'received']);
  });

  it('leaves the queue with its caller, and the place goes to the next', async () => {
    const waiting: (() => void)[] = [];
    const slow = await serverOf((_request, response) => {
      waiting.push(() => response.end(EMPTY));
    });
    const client = clientOf({ baseUrl: slow, shortCalls: 1 });
    const first = list(client);
    await expect.poll(() => waiting.length).toBe(1);
    const leaving = new AbortController();
    const left = client.listConversations(alice, { limit: 1 }, leaving.signal);
    const third = list(client);
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    waiting.shift()?.();
    await first;
    await expect.poll(() => waiting.length).toBe(1);
    waiting.shift()?.();
    await third;
  });

  it.each([-115, -60, -7, 7, 55])('is accepted with the clocks %i s apart', async (seconds) => {
    const client = clientOf({ tokens: await tokensOff(seconds) });
    await list(client);
    await client.checkReady(ever);
    expect(faults).toEqual([]);
  });

  const WRONG: [what: string, make: () => Promise<InternalTokenSource>][] = [
    ['of a clock ten minutes ahead', () => tokensOff(600)],
    ['of a clock ten minutes behind', () => tokensOff(-600)],
    ['of another key', () => createInternalTokenMinter(newKeys().privatePem)],
  ];
  it.each(WRONG)('%s: a 503 that can be retried, an error that says what to check', async (_what, make) => {
    const client = clientOf({ tokens: await make() });
    await expect(list(client)).rejects.toMatchObject({
      code: 'service_unavailable',
      retryable: true,
      message: 'The orchestrator cannot be used now. Try again later.',
    });
    expect(faults).toMatchObject([{ status: 401, code: 'invalid_credential', request_id: alice.requestId }]);
    expect(faults[0]?.check).toMatch(/clocks.*INTERNAL_TOKEN_PUBLIC_KEY/);
    // Readiness tells it as well, without any tenant's request.
    await expect(client.checkReady(ever)).rejects.toMatchObject({ code: 'service_unavailable' });
    expect(faults).toHaveLength(2);
  });

  it('of a probe opens no route, and one of a tenant is no probe', async () => {
    const probe = await tokens.probeTokenFor?.('orchestrator');
    const get = async (path: string, token: string | undefined) =>
      (await fetch(baseUrl + path, { headers: { authorization: `Bearer ${token}` } })).status;
    expect(await get('/internal/v1/conversations', probe)).toBe(401);
    expect(await get('/readyz', probe)).toBe(200);
    expect(await get('/readyz', await tokens.tokenFor(alice, 'orchestrator'))).toBe(401);
    expect(await get('/readyz', await tokens.probeTokenFor?.('rag-service'))).toBe(401);
    expect((await fetch(`${baseUrl}/readyz`)).status).toBe(200);
  });
});

describe('an error of a sibling service', () => {
  const CODES = Object.keys(ERROR_CATALOGUE) as ErrorCode[];

  it('passes when its domain raised it, unless it is about a credential', async () => {
    for (const code of CODES) {
      domain = () => {
        throw new BulkheadError(code, 'What the domain says.', { param: 'field' });
      };
      const expected = ['missing_credential', 'invalid_credential'].includes(code)
        ? { code: 'service_unavailable' }
        : { code, message: 'What the domain says.', param: 'field' };
      await expect(list(), code).rejects.toMatchObject(expected);
    }
  });

  it('does not pass when the frame around the domain raised it', async () => {
    const long = 'x'.repeat(2_000_000);
    const message = { role: 'user', content: 'Hi' } as const;
    const turn = {
      route: 'chat',
      model: null,
      messages: [message],
      persist: false,
      sampling: {},
      engine_parameters: {},
      policy: { blocked_tools: [], rag: { top_k: 4, rerank: false, diversity: 0 } },
    } as const;
    const run = async (body: unknown) => {
      for await (const _ of clientOf().runTurn(alice, body as never, ever));
    };
    const calls: [code: string | null, call: () => Promise<unknown>][] = [
      ['body_too_large', () => run({ ...turn, messages: [{ ...message, content: long }] })],
      ['invalid_request', () => run({ ...turn, route: 'a route of the next version' })],
      ['not_found', () => list(clientOf({ baseUrl: `${baseUrl}/elsewhere` }))],
      ['invalid_request', () => clientOf().getConversation(alice, 'no id' as never, ever)],
    ];
    for (const [code, call] of calls) {
      faults = [];
      await expect(call(), String(code)).rejects.toMatchObject({ code: 'service_unavailable' });
      expect(faults).toMatchObject([{ code }]);
    }
  });

  it('does not pass when something between the two answered', async () => {
    const answers: [status: number, type: string, body: string][] = [
      [401, 'text/html', '<h1>Unauthorized</h1>'],
      [403, 'application/json', '{"message":"RBAC: access denied"}'],
      [404, 'text/plain', 'default backend - 404'],
      [413, 'text/html', '<h1>Request Entity Too Large</h1>'],
      [
        429,
        'application/json',
        JSON.stringify(openAIErrorBody(new BulkheadError('rate_limit_exceeded', 'x'))),
      ],
      [400, 'application/json', JSON.stringify(openAIErrorBody(new BulkheadError('malformed_json', 'x')))],
      [502, 'text/html', '<h1>Bad Gateway</h1>'],
    ];
    for (const [status, type, body] of answers) {
      const proxy = await serverOf((_request, response) =>
        response.writeHead(status, { 'content-type': type }).end(body),
      );
      faults = [];
      await expect(list(clientOf({ baseUrl: proxy })), String(status)).rejects.toMatchObject({
        code: 'service_unavailable',
        retryable: true,
      });
      // From 500 on the service is away, and nothing has to be checked.
      expect(faults).toMatchObject(status < 500 ? [{ status }] : []);
    }
  });

  it('of one that drains is no fault to be looked at', async () => {
    const draining = await serverOf((_request, response) =>
      response.writeHead(503).end('{"status":"not_ready","checks":{}}'),
    );
    const client = clientOf({ baseUrl: draining });
    await expect(client.checkReady(ever)).rejects.toMatchObject({ code: 'service_unavailable' });
    expect(faults).toEqual([]);
  });

  it('of the release before, which marks nothing, passes where only its domain has the code', async () => {
    const passes = async (error: BulkheadError) => {
      const old = await serverOf((_request, response) =>
        response.writeHead(error.status).end(JSON.stringify(openAIErrorBody(error))),
      );
      const seen = await list(clientOf({ baseUrl: old })).catch((thrown: BulkheadError) => thrown.code);
      return seen === error.code;
    };
    expect(await passes(new BulkheadError('not_found', 'There is no such conversation.'))).toBe(true);
    expect(await passes(new BulkheadError('not_found', 'There is no such route.'))).toBe(false);
    expect(await passes(new BulkheadError('missing_scope', 'The credential lacks the scope chat.'))).toBe(
      true,
    );
    expect(await passes(new BulkheadError('invalid_credential', 'The token is not valid.'))).toBe(false);
    expect(await passes(new BulkheadError('body_too_large', 'The body is too large.'))).toBe(false);
  });
});

it('a client of a router whose key does not fit gets 503 and a line in the log, never 401', async () => {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const logger = { ...silentLogger, error: (fields: (typeof lines)[number]) => void lines.push(fields) };
  const misfit = await createInternalTokenMinter(newKeys().privatePem);
  const orchestrator = clientOf({ tokens: misfit, onFault: reportCallFaults(logger) });
  const router = await createRouterFixture({ orchestrator });
  try {
    const headers = await router.keyOf('acme');
    const calls = [
      { method: 'POST', url: '/v1/chat', payload: { message: 'Hi' } },
      { method: 'POST', url: '/v1/chat', payload: { message: 'Hi', stream: true } },
      { method: 'GET', url: '/v1/conversations' },
      { method: 'GET', url: `/v1/conversations/${newConversationId()}` },
    ] as const;
    for (const call of calls) {
      const answer = await router.app.inject({ ...call, headers });
      expect([call.url, answer.statusCode]).toEqual([call.url, 503]);
      expect(answer.json()).toMatchObject({ error: { code: 'service_unavailable' } });
      expect(answer.body).not.toContain('token');
    }
    expect(lines).toContainEqual(
      expect.objectContaining({
        event: 'internal_call_failed',
        metric: 'InternalCallFaultCount',
        value: 1,
        code: 'invalid_credential',
        check: expect.stringContaining('clocks'),
      }),
    );
    expect((await router.app.inject('/readyz')).json()).toMatchObject({ checks: { orchestrator: 'failed' } });
  } finally {
    await router.close();
  }
});
