import type { FastifyInstance } from 'fastify';
import { exportPKCS8, exportSPKI, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDrain } from '#app/http/drain.ts';
import {
  createInternalTokenMinter,
  createInternalTokenVerifier,
  type InternalTokenSource,
} from '#app/http/internal-token.ts';
import { newDocumentId } from '#app/ids.ts';
import { encodeMetadataHeader, RAG_METADATA_HEADER } from '#app/services/rag-http.ts';
import { silentLogger } from '#observability/logger.ts';
import { buildRagApp } from '#rag/app.ts';
import { createTestRag, type TestRag } from '#test/support/create-test-rag.ts';
import { testContext } from '#test/support/test-context.ts';

const alice = testContext('acme', 'alice');
const SETTINGS = { MAX_BODY_BYTES: 10_000, MAX_DOCUMENT_BYTES: 10_000 };

let bench: TestRag;
let app: FastifyInstance;
let tokens: InternalTokenSource;
let token: string;
const drain = createDrain();
beforeAll(async () => {
  bench = await createTestRag(['acme']);
  const pair = await generateKeyPair('EdDSA', { extractable: true });
  const verifier = await createInternalTokenVerifier(await exportSPKI(pair.publicKey), 'rag-service');
  tokens = await createInternalTokenMinter(await exportPKCS8(pair.privateKey));
  token = await tokens.tokenFor(alice, 'rag-service');
  const { service } = bench.current();
  app = buildRagApp({
    service,
    verifier,
    settings: SETTINGS,
    logger: silentLogger,
    drain,
    dependencies: () => ({ database: 'failed' }),
  });
});
afterAll(async () => {
  await app.close();
  await bench.close();
});

type Sent = {
  method: 'GET' | 'POST' | 'DELETE';
  url: string;
  headers?: Record<string, string>;
  payload?: string;
};

const ROUTES: Sent[] = [
  { method: 'POST', url: '/internal/v1/retrieve', payload: '{}' },
  { method: 'POST', url: '/internal/v1/documents', payload: 'x' },
  { method: 'GET', url: '/internal/v1/documents' },
  { method: 'GET', url: `/internal/v1/documents/${newDocumentId()}` },
  { method: 'GET', url: `/internal/v1/documents/${newDocumentId()}/content` },
  { method: 'GET', url: `/internal/v1/documents/${newDocumentId()}/text` },
  { method: 'DELETE', url: `/internal/v1/documents/${newDocumentId()}` },
];

describe('the RAG service’s HTTP API', () => {
  it.each(ROUTES)('$method $url takes a token of its own audience alone', async (route) => {
    const wrong = await tokens.tokenFor(alice, 'orchestrator');
    const attempts: [Record<string, string>, string][] = [
      [{}, 'missing_credential'],
      [{ authorization: token }, 'missing_credential'],
      [{ authorization: `Bearer ${wrong}` }, 'invalid_credential'],
      [{ authorization: `Bearer ${token.slice(0, -4)}AAAA` }, 'invalid_credential'],
      [{ authorization: 'Bearer bk_0_x', 'x-tenant-id': 'acme', 'x-user-id': 'alice' }, 'invalid_credential'],
    ];
    for (const [headers, code] of attempts) {
      const answer = await app.inject({ ...route, headers });
      expect(answer.statusCode).toBe(401);
      expect(answer.json()).toMatchObject({ error: { code } });
    }
  });

  const upload = encodeMetadataHeader({ filename: 'a', media_type: 'text/plain', visibility: 'private' });
  const bytes = { 'content-type': 'application/octet-stream' };
  const json = { 'content-type': 'application/json' };
  const question = { query: 'x', top_k: 1, diversity: 0 };
  const retrieve = (payload: unknown): Sent => ({
    method: 'POST',
    url: '/internal/v1/retrieve',
    headers: json,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
  const add = (headers: Record<string, string>): Sent => ({
    method: 'POST',
    url: '/internal/v1/documents',
    headers,
    payload: 'text',
  });
  const header = (value: unknown) => ({ ...bytes, [RAG_METADATA_HEADER]: encodeMetadataHeader(value) });
  const label = { filename: 'a', media_type: 'text/plain', visibility: 'private' };

  const bad: [what: string, request: Sent, status: number, code: string, param?: string][] = [
    ['no JSON', retrieve('{'), 400, 'malformed_json'],
    ['an unknown field', retrieve({ ...question, tenant_id: 'globex' }), 400, 'invalid_request', 'tenant_id'],
    ['a wrong type', retrieve({ ...question, top_k: '1' }), 400, 'invalid_request', 'top_k'],
    ['too many results', retrieve({ ...question, top_k: 1e9 }), 400, 'invalid_request', 'top_k'],
    [
      'SQL as a document id',
      retrieve({ ...question, document_ids: ["' OR '1'='1"] }),
      400,
      'invalid_request',
      'document_ids.0',
    ],
    ['an empty question', retrieve({ ...question, query: ' ' }), 400, 'invalid_request', 'query'],
    ['a body that is too large', retrieve({ ...question, query: 'x'.repeat(20_000) }), 413, 'body_too_large'],
    ['an upload without a label', add(bytes), 400, 'invalid_request', RAG_METADATA_HEADER],
    [
      'a label that is no base64url',
      add({ ...bytes, [RAG_METADATA_HEADER]: '{}' }),
      400,
      'invalid_request',
      RAG_METADATA_HEADER,
    ],
    [
      'a label that is no JSON',
      add({ ...bytes, [RAG_METADATA_HEADER]: 'eA' }),
      400,
      'invalid_request',
      RAG_METADATA_HEADER,
    ],
    ['a label with an owner', add(header({ ...label, user_id: 'bob' })), 400, 'invalid_request', 'user_id'],
    ['an empty filename', add(header({ ...label, filename: '' })), 400, 'invalid_request', 'filename'],
    ['NUL in a filename', add(header({ ...label, filename: 'a\0b' })), 400, 'invalid_request', 'filename'],
    [
      'an unknown visibility',
      add(header({ ...label, visibility: 'all' })),
      400,
      'invalid_request',
      'visibility',
    ],
    ['an upload as JSON', add({ ...json, [RAG_METADATA_HEADER]: upload }), 400, 'malformed_json'],
    [
      'an upload as text',
      add({ 'content-type': 'text/plain' }),
      415,
      'unsupported_media_type',
      'content-type',
    ],
    [
      'a page of no size',
      { method: 'GET', url: '/internal/v1/documents?limit=0' },
      400,
      'invalid_request',
      'limit',
    ],
    [
      'an unknown query field',
      { method: 'GET', url: '/internal/v1/documents?user_id=bob' },
      400,
      'invalid_request',
      'user_id',
    ],
    [
      'a path for an id',
      { method: 'GET', url: '/internal/v1/documents/..%2f..%2fetc' },
      400,
      'invalid_request',
      'document_id',
    ],
    [
      'an id of another kind',
      { method: 'DELETE', url: '/internal/v1/documents/conv_x' },
      400,
      'invalid_request',
      'document_id',
    ],
    ['an unknown route', { method: 'GET', url: '/internal/v1/tenants' }, 404, 'not_found'],
  ];
  it.each(bad)('answers %s with its reason', async (_what, request, status, code, param) => {
    const headers = { ...request.headers, authorization: `Bearer ${token}` };
    const answer = await app.inject({ ...request, headers });
    expect([answer.statusCode, answer.json().error.code]).toEqual([status, code]);
    if (param !== undefined) expect(answer.json().error.param).toBe(param);
  });

  it('is healthy and ready without a token and without its database, and not ready when it stops', async () => {
    const probe = async (url: string) => {
      const answer = await app.inject({ method: 'GET', url });
      return [answer.statusCode, answer.json()];
    };
    const checks = { database: 'failed' };
    expect(await probe('/readyz')).toEqual([200, { status: 'ready', checks }]);
    drain.begin();
    expect(await probe('/readyz')).toEqual([503, { status: 'not_ready', checks }]);
    expect(await probe('/healthz')).toEqual([200, { status: 'ok' }]);
  });
});
