import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRouterFixture } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let alice: Record<string, string>;

beforeAll(async () => {
  fixture = await createRouterFixture();
  alice = await fixture.keyOf('acme', 'alice');
});
afterAll(() => fixture.close());

async function post(url: string, payload: string) {
  const response = await fixture.app.inject({
    method: 'POST',
    url,
    headers: { ...alice, 'content-type': 'application/json' },
    payload,
  });
  return { status: response.statusCode, error: response.json().error };
}

const listOf = (item: string, count: number) => `[${Array(count).fill(item).join(',')}]`;
const HELLO = '[{"role":"user","content":"hello"}]';

describe('a body of very many values', () => {
  test.each([
    ['empty lists', `{"model":"bulkhead-chat","messages":${listOf('[]', 200_000)}}`],
    ['objects', `{"model":"bulkhead-chat","messages":${listOf('{}', 200_000)}}`],
    ['lists in lists', `{"model":"bulkhead-chat","messages":${HELLO},"x":${listOf('[[]]', 80_000)}}`],
    ['texts', `{"model":"bulkhead-chat","messages":${HELLO},"x":${listOf('""', 200_000)}}`],
    ['names', `{"model":"bulkhead-chat","messages":${HELLO},"x":${listOf('{"a":1,"b":2}', 50_000)}}`],
  ])('is refused before it is parsed: %s', async (_what, payload) => {
    const { status, error } = await post('/v1/chat/completions', payload);
    expect(status).toBe(400);
    expect(error).toMatchObject({
      code: 'invalid_request',
      message: 'The body holds more than 100000 objects, lists, names and texts.',
    });
  });

  test('is not taken for one where they stand in a text', async () => {
    const code = '[[[{ " \\ }]]]'.repeat(30_000);
    const messages = [{ role: 'user', content: code }];
    const { status } = await post(
      '/v1/chat/completions',
      JSON.stringify({ model: 'bulkhead-chat', messages }),
    );
    expect(status).toBe(200);
  });

  test('is not one of as many messages and tokens as may be sent', async () => {
    const messages = listOf('{"role":"user","content":[{"type":"text","text":"a"}]}', 9_900);
    expect(
      (await post('/v1/chat/completions', `{"model":"bulkhead-chat","messages":${messages}}`)).status,
    ).toBe(200);
    const { error } = await post(
      '/v1/embeddings',
      `{"model":"bulkhead-embed","input":${listOf('1', 400_000)}}`,
    );
    expect(error.code).toBe('context_length_exceeded');
  });
});

const names = (count: number, value = '1') =>
  `{${Array.from({ length: count }, (_, n) => `"${n.toString(36)}" : ${value}`).join(',')}}`;

describe('a body of very many different names', () => {
  const said = 'The body holds more than 10000 different names of fields.';
  let admin: Record<string, string>;
  beforeAll(async () => {
    admin = await fixture.keyOf('acme', 'ada', 'admin');
  });
  const send = (method: 'POST' | 'PATCH' | 'PUT', url: string, payload: string, headers = admin) =>
    fixture.app.inject({
      method,
      url,
      headers: { ...headers, 'content-type': 'application/json' },
      payload,
    });
  const chat = (rest: string) => `{"model":"org/model-a","messages":${HELLO},${rest}}`;

  test.each([
    ['logit_bias', '/v1/chat/completions', chat(`"logit_bias":${names(10_001)}`)],
    ['metadata', '/v1/chat/completions', chat(`"metadata":${names(10_001, '"v"')}`)],
    [
      'a schema',
      '/v1/chat/completions',
      chat(`"response_format":{"type":"json_schema","json_schema":{"schema":${names(10_001, '{}')}}}`),
    ],
    [
      'objects of one field each',
      '/v1/chat/completions',
      chat(`"tools":[${Array.from({ length: 10_001 }, (_, n) => `{"${n.toString(36)}": null}`).join(',')}]`),
    ],
    ['a response', '/v1/responses', `{"model":"org/model-a","input":"hi","metadata":${names(10_001)}}`],
    [
      'a completion',
      '/v1/completions',
      `{"model":"org/model-a","prompt":"hi","logit_bias":${names(10_001)}}`,
    ],
    ['texts to embed', '/v1/embeddings', `{"model":"bulkhead-embed","input":"hi","x":${names(10_001)}}`],
    ['a native chat', '/v1/chat', names(10_001)],
    ['a search', '/v1/vault/search', names(10_001)],
    ['a search of a store', '/v1/vector_stores/vs_vault/search', names(10_001)],
    ['a file of a store', '/v1/vector_stores/vs_vault/files', names(10_001)],
  ])('is refused before it is parsed: %s', async (_what, url, payload) => {
    const { status, error } = await post(url, payload);
    expect([status, error.code, error.message]).toEqual([400, 'invalid_request', said]);
  });

  test('is refused by every route that reads JSON, those of administrators too', async () => {
    const bodies = names(10_001);
    const found: unknown[] = [];
    for (const [method, url] of [
      ['PATCH', '/admin/tenants/acme'],
      ['POST', '/admin/tenants/acme/keys'],
      ['POST', '/admin/tenants/acme/members'],
      ['POST', '/admin/tenants/acme/members/invitations'],
      ['POST', '/admin/policy/dry-run'],
      ['POST', '/admin/tenants/acme/export'],
    ] as const) {
      const response = await send(method, url, bodies);
      found.push([response.statusCode, response.json().detail]);
    }
    for (const [method, url] of [
      ['POST', '/admin/tenants'],
      ['PUT', '/admin/prices'],
    ] as const) {
      const response = await send(method, url, bodies, fixture.operator);
      found.push([response.statusCode, response.json().detail]);
    }
    expect(found).toEqual(Array(8).fill([400, said]));
  });

  test('is none with the names of a thousand functions, or of the largest conversation', async () => {
    const properties = names(9, '{"type":"string","description":"Some words about it."}');
    const functions = Array.from(
      { length: 1_000 },
      (_, n) =>
        `{"type":"function","function":{"name":"f${n}","parameters":{"type":"object","properties":{"of_${n}":${properties}}}}}`,
    );
    expect(
      (await post('/v1/chat/completions', chat(`"tools":[${functions.join(',')}]`))).error?.message,
    ).not.toBe(said);
    const bias = Array.from({ length: 9_000 }, (_, n) => `"${n + 100_000}":1`).join(',');
    const { status } = await post('/v1/chat/completions', chat(`"logit_bias":{${bias}}`));
    expect(status).toBe(200);
  });
});

test.each([
  [
    'a text',
    '{"messages":[{"content":["a\\u0000"]}]}',
    'messages.0.content.0',
    'messages.0.content.0: must not hold a NUL character',
  ],
  ['a name', '{"messages":[{"a\\u0000":1}]}', 'messages.0', 'A key must not hold a NUL character.'],
  ['a text at the top', '"\\u0000"', '', ': must not hold a NUL character'],
  [
    'what is in too many lists',
    `{"a":${'['.repeat(70)}${']'.repeat(70)}}`,
    'a.0.0',
    'The body is nested more than 64 deep.',
  ],
])('a flaw is found, and its place named: %s', async (_what, payload, param, message) => {
  const { status, error } = await post('/v1/chat/completions', payload);
  expect([status, error.param ?? '', error.message]).toEqual([400, param, message]);
});
