import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { multiTenantChatRequestSchema } from '#app/schemas/multi-tenant-chat-request.ts';
import { dereference } from '../../test/support/dereference.ts';
import { createRouterFixture, multipartOf } from '../../test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
const routes = new Set<string>();
let alice: { authorization: string };
let eve: { authorization: string };

beforeAll(async () => {
  fixture = await createRouterFixture({ onRoute: ({ url }) => routes.add(url) });
  alice = await fixture.keyOf('acme', 'alice', 'service');
  eve = await fixture.keyOf('globex', 'eve', 'service');
  await fixture.setConfig('acme', { rate_limits: { requests_per_minute: null, requests_per_hour: null } });
  await fixture.setConfig('globex', { rate_limits: { requests_per_minute: null, requests_per_hour: null } });
});
afterAll(() => fixture.close());

const post = (url: string, payload: unknown, headers: Record<string, string> = alice) =>
  fixture.app.inject({ method: 'POST', url, headers, payload: payload as object });
const get = (url: string, headers: Record<string, string> = alice) =>
  fixture.app.inject({ method: 'GET', url, headers });

describe('POST /v1/chat', () => {
  test('answers, with usage, cost and the request id everywhere', async () => {
    const response = await post('/v1/chat', { message: 'hello' });
    expect(response.statusCode).toBe(200);
    const body = response.json();
    expect(body).toMatchObject({
      tenant_id: 'acme',
      user_id: 'alice',
      route: 'rag',
      answer: 'one two three',
      engine: 'seam',
      token_usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
      cost_usd_estimate: 0.000013,
      refusal_reason: null,
    });
    expect(response.headers['x-request-id']).toBe(body.request_id);
    const row = (await fixture.usageRows()).find(({ request_id }) => request_id === body.request_id);
    expect(row).toMatchObject({
      tenant_id: 'acme',
      user_id: 'alice',
      route: 'rag',
      prompt_tokens: 7,
      completion_tokens: 3,
      status: 200,
      outcome: 'ok',
      refusal_reason: null,
    });
  });

  test('streams named events', async () => {
    const response = await post('/v1/chat', { message: 'hello', stream: true });
    expect(response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(response.headers['x-request-id']).toMatch(/^req_/);
    const names = [...response.body.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name);
    expect(names).toEqual(['started', 'retrieved', 'delta', 'delta', 'delta', 'answer']);
    const last = JSON.parse(response.body.trim().split('\n').at(-1)?.slice('data: '.length) ?? '');
    expect(last).toMatchObject({ answer: 'one two three', request_id: response.headers['x-request-id'] });
  });

  test('top_k and documents reach the turn', async () => {
    await post('/v1/chat', {
      message: 'hello',
      top_k: 3,
      document_ids: [`doc_${'0'.repeat(26)}`],
      collection: 'handbook',
    });
    expect(fixture.turns.at(-1)).toMatchObject({
      persist: true,
      policy: { rag: { top_k: 3 } },
      document_ids: [`doc_${'0'.repeat(26)}`],
      collection: 'handbook',
    });
  });

  test('what is null is as absent', async () => {
    const names = Object.keys(multiTenantChatRequestSchema.shape).filter((name) => name !== 'message');
    await post('/v1/chat', { message: 'hello' });
    const response = await post('/v1/chat', {
      message: 'hello',
      ...Object.fromEntries(names.map((name) => [name, null])),
    });
    expect(response.statusCode).toBe(200);
    expect(names).toContain('document_ids');
    expect(fixture.turns.at(-1)).toEqual(fixture.turns.at(-2));
  });

  test.each([
    ['message', {}],
    ['message', { message: null }],
    ['message', { message: '  ' }],
    ['message', { message: 5 }],
    ['message', { message: 'a\u0000b' }],
    ['surprise', { message: 'x', surprise: 1 }],
    ['top_k', { message: 'x', top_k: 0 }],
    ['document_ids.1', { message: 'x', document_ids: [`doc_${'0'.repeat(26)}`, '../../etc'] }],
    ['conversation_id', { message: 'x', conversation_id: '../conv' }],
    ['tenant_id', { message: 'x', tenant_id: '../globex' }],
    ['stream', { message: 'x', stream: 'yes' }],
  ])('a bad %s is a 400 that names it', async (param, payload) => {
    const response = await post('/v1/chat', payload);
    expect(response.statusCode).toBe(400);
    expect(response.json().error).toMatchObject({
      type: 'invalid_request_error',
      code: 'invalid_request',
      param,
    });
    expect(response.json().error.request_id).toBe(response.headers['x-request-id']);
  });
});

describe('bodies', () => {
  const raw = (payload: string | Buffer, headers: Record<string, string> = {}, url = '/v1/chat') =>
    fixture.app.inject({
      method: 'POST',
      url,
      headers: { ...alice, 'content-type': 'application/json', ...headers },
      payload,
    });

  test.each([
    ['broken JSON', '{"message":', 400, 'malformed_json'],
    ['nothing', '', 400, 'malformed_json'],
    [
      'bytes that are no UTF-8',
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      400,
      'invalid_encoding',
    ],
    ['a prototype', '{"message":"x","__proto__":{"a":1}}', 400, 'invalid_request'],
    ['endless nesting', `{"message":"x","a":${'['.repeat(500)}${']'.repeat(500)}}`, 400, 'invalid_request'],
    ['an array', '[]', 400, 'invalid_request'],
    ['too much', JSON.stringify({ message: 'x'.repeat(2_000_000) }), 413, 'body_too_large'],
  ])('%s', async (_name, payload, status, code) => {
    for (const url of ['/v1/chat', '/v1/chat/completions']) {
      const response = await raw(payload, {}, url);
      expect(response.statusCode).toBe(status);
      expect(response.json().error.code).toBe(code);
    }
  });

  test.each([
    [{ 'content-type': 'text/plain' }],
    [{ 'content-type': 'application/xml' }],
    [{ 'content-type': 'application/json; charset=utf-16' }],
    [{ 'content-encoding': 'gzip' }],
    [{ 'content-type': 'multipart/form-data; boundary=x' }],
  ])('%j is a 415', async (headers) => {
    const response = await raw('{"message":"x"}', headers);
    expect(response.statusCode).toBe(415);
    expect(response.json().error.code).toBe('unsupported_media_type');
  });
});

describe('POST /v1/chat/completions', () => {
  const messages = [{ role: 'user', content: 'hello' }];

  test('answers on our models and on the engine’s', async () => {
    for (const [model, route] of [
      ['bulkhead-rag', 'rag'],
      ['bulkhead-chat', 'chat'],
      ['org/model-a', 'direct'],
    ]) {
      const response = await post('/v1/chat/completions', { model, messages, made_up_parameter: true });
      expect(response.statusCode).toBe(200);
      expect(response.json()).toMatchObject({
        object: 'chat.completion',
        model,
        system_fingerprint: 'seam',
        choices: [
          { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'one two three' } },
        ],
        usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
      });
      expect(fixture.turns.at(-1)).toMatchObject({ route, persist: false });
    }
  });

  test.each(['bulkhead-rag', 'org/model-a'])('streams %s as OpenAI does', async (model) => {
    const body = { model, messages, stream: true, stream_options: { include_usage: true } };
    const response = await post('/v1/chat/completions', body);
    const lines = response.body.split('\n\n').filter((line) => line !== '');
    expect(lines.at(-1)).toBe('data: [DONE]');
    const chunks = lines.slice(0, -1).map((line) => JSON.parse(line.slice('data: '.length)));
    expect(chunks.every(({ id, object }) => id === chunks[0].id && object === 'chat.completion.chunk')).toBe(
      true,
    );
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    expect(text).toBe('one two three');
    expect(chunks.filter(({ choices }) => choices[0]?.finish_reason === 'stop')).toHaveLength(1);
    const last = chunks.at(-1);
    expect(last).toMatchObject({ choices: [], usage: { total_tokens: 10 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    if (model === 'bulkhead-rag') {
      expect(chunks[0].choices[0].delta).toEqual({ role: 'assistant', content: '' });
      expect(chunks.at(-2).choices[0].delta.citations).toEqual([]);
    }
  });

  test('without include_usage there is none', async () => {
    const response = await post('/v1/chat/completions', { model: 'org/model-a', messages, stream: true });
    expect(response.body).not.toContain('usage');
  });

  test('only known engine parameters pass; nothing that reaches other tenants does', async () => {
    await post('/v1/chat/completions', {
      model: 'org/model-a',
      messages,
      max_completion_tokens: 9,
      tools: [{ type: 'function', function: { name: 'f' } }],
      cache_salt: 'mine',
      priority: -1,
      logits_processors: ['os.system'],
      chat_template: '{{ evil }}',
    });
    expect(fixture.turns.at(-1)).toMatchObject({ sampling: { max_tokens: 9 } });
    expect(Object.keys(fixture.turns.at(-1)?.engine_parameters ?? {})).toEqual(['tools']);
  });

  test('n above one is refused where one answer is all there is', async () => {
    const response = await post('/v1/chat/completions', { model: 'bulkhead-rag', messages, n: 2 });
    expect(response.json().error).toMatchObject({ code: 'invalid_request', param: 'n' });
  });

  test.each([
    ['model', { messages }],
    ['messages', { model: 'x' }],
    ['messages', { model: 'x', messages: [] }],
    ['messages.0.role', { model: 'x', messages: [{ role: 'root', content: 'x' }] }],
    ['temperature', { model: 'x', messages, temperature: 'hot' }],
  ])('a bad %s', async (param, payload) => {
    const response = await post('/v1/chat/completions', payload);
    expect(response.statusCode).toBe(400);
    expect(response.json().error.param).toBe(param);
  });

  test('lists models, and tells one', async () => {
    const list = await get('/v1/models');
    expect(list.json().data.map(({ id }: { id: string }) => id)).toEqual([
      'bulkhead-rag',
      'bulkhead-chat',
      'bulkhead-embed',
      'org/model-a',
    ]);
    expect((await get('/v1/models/org/model-a')).json()).toMatchObject({
      id: 'org/model-a',
      object: 'model',
    });
    expect((await get('/v1/models/org%2Fmodel-a')).statusCode).toBe(200);
    const missing = await get('/v1/models/nothing');
    expect(missing.statusCode).toBe(404);
    expect(missing.json().error.code).toBe('model_not_found');
  });
});

describe('policy', () => {
  test('refuses before the turn, explained, counted, without repeating the text', async () => {
    const sensitive_patterns = [{ name: 'project', pattern: 'bluebird' }];
    await fixture.setConfig('acme', { sensitive_patterns, blocked_tools: ['shell'] });
    const before = fixture.turns.length;
    for (const [url, payload] of [
      ['/v1/chat', { message: 'about ＢＬＵＥＢＩＲＤ' }],
      ['/v1/chat', { message: 'about bluebird', stream: true }],
      [
        '/v1/chat/completions',
        { model: 'bulkhead-rag', messages: [{ role: 'system', content: 'bluebird' }] },
      ],
      [
        '/v1/chat/completions',
        {
          model: 'org/model-a',
          stream: true,
          messages: [{ role: 'user', content: [{ type: 'text', text: 'blue\u200bbird' }] }],
        },
      ],
    ] as const) {
      const response = await post(url, payload);
      expect(response.statusCode).toBe(403);
      expect(response.json().error).toMatchObject({
        code: 'guardrail_refused',
        refusal: { policy: 'sensitive_patterns.0' },
      });
      expect(response.body).not.toMatch(/bluebird/i);
      const id = response.headers['x-request-id'];
      const row = (await fixture.usageRows()).find(({ request_id }) => request_id === id);
      expect(row).toMatchObject({ outcome: 'refused', refusal_reason: 'guardrail_refused', status: 403 });
    }
    const tools = [{ type: 'function', function: { name: 'Shell' } }];
    const response = await post('/v1/chat/completions', {
      model: 'org/model-a',
      messages: [{ role: 'user', content: 'x' }],
      tools,
    });
    expect(response.json().error).toMatchObject({ code: 'tool_blocked', param: 'tools.0.function.name' });
    expect(fixture.turns.length).toBe(before);
    await fixture.setConfig('acme', { sensitive_patterns: [], blocked_tools: [] });
  });

  test('routes and models', async () => {
    await fixture.setConfig('acme', { allowed_routes: ['chat', 'direct'], models: ['org/model-b'] });
    const codes = [];
    for (const [url, payload] of [
      ['/v1/chat', { message: 'x' }],
      ['/v1/chat', { message: 'x', route: 'chat' }],
      ['/v1/chat/completions', { model: 'org/model-a', messages: [{ role: 'user', content: 'x' }] }],
      ['/v1/vault/search', { query: 'x' }],
    ] as const) {
      const response = await post(url, payload);
      codes.push(response.statusCode === 200 ? 'ok' : response.json().error.code);
    }
    expect(codes).toEqual(['route_not_allowed', 'ok', 'model_not_allowed', 'route_not_allowed']);
    expect((await get('/v1/vault/documents')).json().error.code).toBe('route_not_allowed');
    expect((await get('/v1/models')).json().data.map(({ id }: { id: string }) => id)).toEqual([
      'bulkhead-chat',
    ]);
    await fixture.setConfig('acme', {
      allowed_routes: ['chat', 'rag', 'direct', 'vault', 'search', 'conversations', 'usage'],
      models: null,
    });
  });
});

describe('identity on the wire', () => {
  test('no credential, and a bad one, in the envelope of the surface', async () => {
    const none = await post('/v1/chat', { message: 'x' }, {});
    expect(none.statusCode).toBe(401);
    expect(none.headers['www-authenticate']).toContain('Bearer');
    expect(none.json().error).toMatchObject({ code: 'missing_credential', type: 'authentication_error' });
    const admin = await get('/admin/tenants', { authorization: "Bearer ' OR '1'='1" });
    expect(admin.statusCode).toBe(401);
    expect(admin.headers['content-type']).toContain('application/problem+json');
    expect(admin.json()).toMatchObject({ status: 401, code: 'invalid_credential' });
    expect(admin.json().instance).toContain(String(admin.headers['x-request-id']));
  });

  test.each([
    ['X-Tenant-Id', { message: 'x' }, { 'x-tenant-id': 'globex' }, 'tenant_mismatch'],
    ['tenant_id', { message: 'x', tenant_id: 'globex' }, {}, 'tenant_mismatch'],
    ['user_id', { message: 'x', user_id: 'bob' }, {}, 'user_mismatch'],
  ])('%s must agree', async (_name, payload, headers, code) => {
    const response = await post('/v1/chat', payload, { ...alice, ...headers });
    expect(response.statusCode).toBe(403);
    const policy = code === 'tenant_mismatch' ? 'credential.tenant' : 'credential.user';
    expect(response.json().error).toMatchObject({ code, refusal: { policy } });
  });

  test('a tenant named in an OpenAI body must agree, too', async () => {
    const payload = {
      model: 'bulkhead-rag',
      messages: [{ role: 'user', content: 'x' }],
      tenant_id: 'globex',
    };
    const response = await post('/v1/chat/completions', payload);
    expect(response.json().error.code).toBe('tenant_mismatch');
  });

  test('internal headers from outside change nothing', async () => {
    for (const name of [
      'x-bulkhead-rag-token',
      'X_Bulkhead_Tenant',
      'x-bulkhead-tenant-id',
      'xbulkhead-user',
    ]) {
      const response = await post('/v1/chat', { message: 'x' }, { ...alice, [name]: 'globex' });
      expect(response.json()).toMatchObject({ tenant_id: 'acme', user_id: 'alice' });
    }
  });

  test('scopes', async () => {
    const reader = await fixture.keyOf('acme', 'reader', 'member', ['vault:read']);
    expect((await post('/v1/chat', { message: 'x' }, reader)).json().error.code).toBe('missing_scope');
    expect((await get('/v1/vault/documents', reader)).statusCode).toBe(200);
    const operatorOnV1 = await post('/v1/chat', { message: 'x' }, fixture.operator);
    expect(operatorOnV1.json().error.code).toBe('missing_scope');
  });
});

describe('limits', () => {
  test('count exactly, say so on every answer, and explain the refusal', async () => {
    const key = await fixture.keyOf('globex', 'limited');
    await fixture.setConfig('globex', { rate_limits: { requests_per_minute: 3 } });
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await post('/v1/chat', { message: 'x' }, key));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 429, 429]);
    expect(answers.map(({ headers }) => headers['x-ratelimit-remaining-requests'])).toEqual([
      '2',
      '1',
      '0',
      '0',
      '0',
    ]);
    const denied = answers[4];
    expect(denied?.headers['x-ratelimit-limit-requests']).toBe('3');
    expect(Number(denied?.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(denied?.headers['retry-after-ms'])).toBeLessThanOrEqual(60_000);
    expect(denied?.json().error).toMatchObject({
      code: 'rate_limit_exceeded',
      type: 'rate_limit_error',
      refusal: { policy: 'rate_limits.requests_per_minute', limit: 3, current: 3 },
    });
    expect((await post('/v1/chat', { message: 'x' })).statusCode).toBe(200);
    await fixture.setConfig('globex', { rate_limits: { requests_per_minute: null } });
  });

  test('a place among concurrent requests comes back after answers and errors', async () => {
    await fixture.setConfig('globex', { rate_limits: { concurrent_requests: 1 } });
    for (let i = 0; i < 3; i++) {
      expect((await post('/v1/chat', { message: 'x' }, eve)).statusCode).toBe(200);
      expect((await post('/v1/chat', { message: 'x', stream: true }, eve)).statusCode).toBe(200);
      expect((await get('/v1/conversations/none', eve)).statusCode).toBe(404);
    }
    await fixture.setConfig('globex', { rate_limits: { concurrent_requests: null } });
  });
});

describe('ids of others', () => {
  test('answer exactly as ids of nobody, whatever their shape', async () => {
    const { payload, headers } = multipartOf([{ name: 'file', value: 'secret', filename: 'a.txt' }]);
    const upload = await fixture.app.inject({
      method: 'POST',
      url: '/v1/vault/documents',
      headers: { ...alice, ...headers },
      payload,
    });
    expect(upload.statusCode).toBe(201);
    const { document_id } = upload.json();
    const bodyOf = async (method: 'GET' | 'DELETE', url: string) => {
      const response = await fixture.app.inject({ method, url, headers: eve });
      expect(response.statusCode).toBe(404);
      const { request_id, ...error } = response.json().error;
      expect(request_id).toMatch(/^req_/);
      return error;
    };
    for (const [base, foreign] of [
      ['/v1/vault/documents', document_id],
      ['/v1/conversations', `conv_${'1'.repeat(26)}`],
    ]) {
      for (const suffix of base === '/v1/conversations' ? [''] : ['', '/content', '/text']) {
        const missing = await bodyOf('GET', `${base}/${foreign.slice(0, -1)}0${suffix}`);
        for (const id of [foreign, 'x', '..%2f..%2fetc%2fpasswd', '%00', "'%20OR%201=1", 'a'.repeat(5_000)]) {
          expect(await bodyOf('GET', `${base}/${id}${suffix}`)).toEqual(missing);
        }
      }
      expect(await bodyOf('DELETE', `${base}/${foreign}`)).toEqual(await bodyOf('DELETE', `${base}/x`));
    }
    expect((await get(`/v1/vault/documents/${document_id}/content`)).body).toBe('secret');
  });
});

describe('uploads', () => {
  const upload = (parts: Parameters<typeof multipartOf>[0], key = alice) => {
    const { payload, headers } = multipartOf(parts);
    return fixture.app.inject({
      method: 'POST',
      url: '/v1/vault/documents',
      headers: { ...key, ...headers },
      payload,
    });
  };
  const file = { name: 'file', value: '# Title', filename: 'notes.md', type: 'text/markdown' };

  test('fields may stand before or after the file', async () => {
    for (const parts of [
      [{ name: 'title', value: 'My notes' }, { name: 'visibility', value: 'tenant' }, file],
      [file, { name: 'title', value: 'My notes' }, { name: 'visibility', value: 'tenant' }],
    ]) {
      const response = await upload(parts);
      expect(response.statusCode).toBe(201);
      expect(response.json()).toMatchObject({
        title: 'My notes',
        visibility: 'tenant',
        filename: 'notes.md',
        media_type: 'text/markdown',
        byte_size: 7,
      });
    }
    expect((await upload([file])).json()).toMatchObject({ visibility: 'private', title: 'notes.md' });
  });

  test('names keep their letters, and content comes back as a download', async () => {
    const response = await upload([{ ...file, filename: 'Übersicht 数.md' }]);
    expect(response.json().filename).toBe('Übersicht 数.md');
    const content = await get(`/v1/vault/documents/${response.json().document_id}/content`);
    expect(content.body).toBe('# Title');
    expect(content.headers['content-disposition']).toBe(
      'attachment; filename="_bersicht _.md"; filename*=UTF-8\'\'%C3%9Cbersicht%20%E6%95%B0.md',
    );
    expect(content.headers['content-type']).toBe('application/octet-stream');
  });

  test.each([
    ['no file', 400, 'file', [{ name: 'title', value: 'x' }]],
    ['an empty file', 400, 'file', [{ ...file, value: '' }]],
    ['a path', 400, 'file', [{ ...file, filename: '../../etc/passwd' }]],
    ['a Windows path', 400, 'file', [{ ...file, filename: 'C:\\\\secret.txt' }]],
    ['dots', 400, 'file', [{ ...file, filename: '..' }]],
    ['a NUL', 400, 'file', [{ ...file, filename: 'a\u0000.md' }]],
    ['a right-to-left override', 400, 'file', [{ ...file, filename: 'a\u202egpj.exe' }]],
    ['a long name', 400, 'file', [{ ...file, filename: `${'ü'.repeat(130)}.md` }]],
    ['two files', 400, 'file', [file, file]],
    ['another field', 400, 'colour', [file, { name: 'colour', value: 'red' }]],
    ['a file under another name', 400, 'upload', [{ ...file, name: 'upload' }]],
    ['a bad visibility', 400, 'visibility', [file, { name: 'visibility', value: 'world' }]],
    ['two titles', 400, 'title', [file, { name: 'title', value: 'a' }, { name: 'title', value: 'b' }]],
    ['an empty title', 400, 'title', [file, { name: 'title', value: ' ' }]],
    ['another tenant', 403, 'tenant_id', [file, { name: 'tenant_id', value: 'globex' }]],
    ['too much', 413, 'file', [{ ...file, value: Buffer.alloc(1_048_577) }]],
  ])('%s', async (_name, status, param, parts) => {
    const before = (await get('/v1/vault/documents?limit=100')).json().data.length;
    const response = await upload(parts);
    expect(response.statusCode).toBe(status);
    expect(response.json().error.param).toBe(param);
    expect((await get('/v1/vault/documents?limit=100')).json().data.length).toBe(before);
  });

  test('a member cannot share, and a broken form is a 400', async () => {
    const member = await fixture.keyOf('acme', 'bob', 'member');
    const shared = await upload([file, { name: 'visibility', value: 'tenant' }], member);
    expect(shared.json().error).toMatchObject({ code: 'missing_scope', param: 'visibility' });
    const send = (payload: Buffer, type = 'multipart/form-data; boundary=test-boundary') =>
      fixture.app.inject({
        method: 'POST',
        url: '/v1/vault/documents',
        headers: { ...alice, 'content-type': type },
        payload,
      });
    const { payload } = multipartOf([file]);
    for (const broken of [
      payload.subarray(0, payload.length - 20),
      payload.subarray(0, 50),
      Buffer.from('nonsense'),
    ]) {
      expect((await send(broken)).statusCode).toBe(400);
    }
    expect((await send(payload, 'multipart/form-data')).statusCode).toBe(400);
    expect((await send(Buffer.from('{}'), 'application/json')).statusCode).toBe(415);
  });
});

describe('paths and methods', () => {
  test('405 says what is allowed, 404 says nothing', async () => {
    const response = await fixture.app.inject({ method: 'PUT', url: '/v1/chat', headers: alice });
    expect(response.statusCode).toBe(405);
    expect(response.headers.allow).toBe('POST');
    expect(response.json().error.code).toBe('method_not_allowed');
    const admin = await fixture.app.inject({ method: 'PUT', url: '/admin/tenants/acme' });
    expect(admin.statusCode).toBe(405);
    expect(admin.headers['content-type']).toContain('application/problem+json');
    expect((await get('/v1/nothing?key=bk_x')).json().error).toMatchObject({
      code: 'not_found',
      message: 'There is no route GET /v1/nothing.',
    });
    // As where a client's base URL lacks its end.
    expect((await get('/models')).json().error.message).toContain('end in /v1');
    expect((await get(`/v1/${'x'.repeat(5_000)}`)).body.length).toBeLessThan(500);
    expect((await get('/admin/nothing')).json().code).toBe('not_found');
    expect((await get('/v1/%zz')).statusCode).toBe(400);
    expect((await get('/v1/%zz')).json().error.code).toBe('invalid_request');
  });

  test.each([
    ['/v1/vault/documents?limit=0', 'limit'],
    ['/v1/vault/documents?limit=abc', 'limit'],
    ['/v1/conversations?colour=red', 'colour'],
    ['/v1/usage?from=yesterday', 'from'],
  ])('%s', async (url, param) => {
    const response = await get(url);
    expect(response.statusCode).toBe(400);
    expect(response.json().error.param).toBe(param);
  });
});

describe('public pages', () => {
  test('probes, landing page, OpenAPI and docs need no key', async () => {
    expect((await get('/healthz', {})).json()).toEqual({ status: 'ok' });
    expect((await get('/readyz', {})).json()).toEqual({
      status: 'ready',
      checks: {
        usage_log: 'ok',
        database: 'ok',
        orchestrator: 'ok',
        rag: 'ok',
        engine: 'ok',
        limits: 'ok',
      },
    });
    const page = await get('/', {});
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    const docs = await get('/docs/', {});
    expect(docs.statusCode).toBe(200);
    expect(docs.body).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(docs.headers['content-security-policy']).toBeDefined();
  });

  test('the OpenAPI document knows every route', async () => {
    const document = JSON.parse(JSON.stringify(dereference((await get('/openapi.json', {})).json())));
    expect(document.openapi).toBe('3.1.0');
    const documented = Object.keys(document.paths);
    const withParameters = (url: string) =>
      url.replaceAll(/:(\w+)/g, '{$1}').replace('/v1/models/*', '/v1/models/{model}');
    const served = [...routes]
      .filter((url) => /^\/(?:v1|admin|healthz|readyz)\b/.test(url))
      .map(withParameters);
    expect(served.length).toBeGreaterThan(20);
    expect(documented.sort()).toEqual([...new Set(served)].sort());
    const upload = document.paths['/v1/vault/documents'].post;
    expect(upload.requestBody.content['multipart/form-data'].schema.properties).toHaveProperty('file');
    const chat = document.paths['/v1/chat'].post;
    expect(chat.requestBody.content['application/json'].schema.properties).toHaveProperty('message');
    expect(chat.responses['200'].content['application/json'].schema.properties).toHaveProperty('citations');
    expect(chat.security).toEqual([{ apiKey: [] }, { jwt: [] }]);
  });
});
