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
    [
      'names',
      `{"model":"bulkhead-chat","messages":${HELLO},"x":{${Array.from({ length: 100_001 }, (_, n) => `"${n.toString(36)}":1`).join(',')}}}`,
    ],
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
