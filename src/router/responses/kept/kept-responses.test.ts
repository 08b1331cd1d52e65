import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { createApiKeyStore } from '#router/identity/api-key-store.ts';
import { CARD, deltas, KEY, saying, useGuardedRouter } from '#test/support/guarded-router.ts';
import { endless, threeWords } from '#test/support/router-fixture.ts';
import { testContext } from '#test/support/test-context.ts';

const router = useGuardedRouter();
const OPEN = {
  blocked_tools: [],
  responses: { store: true, retention_days: 30 },
  retention_days: null,
  rate_limits: { requests_per_minute: null, requests_per_hour: null, tokens_per_minute: null },
};
let alice: Record<string, string>;
beforeAll(async () => {
  alice = await router.fixture.keyOf('acme');
});
beforeEach(() => router.setConfig(OPEN));

const ask = async (body: object, headers = alice) => {
  const response = await router.fixture.app.inject({
    method: 'POST',
    url: '/v1/responses',
    headers,
    payload: { model: 'org/model-a', ...body },
  });
  return { status: response.statusCode, headers: response.headers, text: response.body };
};
/** The response, or the error. */
const askJson = async (body: object, headers = alice) => {
  const { status, text } = await ask(body, headers);
  const json = JSON.parse(text);
  return status === 200 ? json : { status, ...json.error };
};
const call = async (method: 'GET' | 'DELETE' | 'POST', path: string, headers = alice) => {
  const response = await router.fixture.app.inject({ method, url: `/v1/responses/${path}`, headers });
  return { status: response.statusCode, json: response.json() };
};
const sent = () => router.fixture.turns.at(-1)?.messages;
const finalOf = (text: string) => JSON.parse(text.slice(text.lastIndexOf('\ndata: ') + 7));

const calling = deltas([
  { reasoning_content: 'It must look.' },
  { tool_calls: [{ index: 0, id: 'c1', function: { name: 'lookup', arguments: '{"q":' } }] },
  { tool_calls: [{ index: 0, function: { arguments: '1}' } }] },
]);

describe.each([false, true])('a conversation, streamed: %s', (stream) => {
  const turn = async (body: object) => {
    const { status, text } = await ask({ ...body, stream });
    expect(status).toBe(200);
    return stream ? finalOf(text).response : JSON.parse(text);
  };

  test('goes on from the response before, and from those before that', async () => {
    const first = await turn({ instructions: 'Be brief.', input: 'Hello' });
    expect(first).toMatchObject({ store: true, previous_response_id: null });
    const second = await turn({ input: 'More', previous_response_id: first.id });
    expect(second).toMatchObject({ store: true, previous_response_id: first.id });
    await turn({
      instructions: 'Be long.',
      input: [{ role: 'user', content: 'Again' }],
      previous_response_id: second.id,
    });
    expect(sent()).toEqual([
      { role: 'system', content: 'Be long.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'one two three' },
      { role: 'user', content: 'More' },
      { role: 'assistant', content: 'one two three' },
      { role: 'user', content: 'Again' },
    ]);
  });

  test('takes the result of a call that it made, by the response or by the item', async () => {
    router.fixture.script.turn = calling;
    const first = await turn({ input: 'Find it' });
    const output = { type: 'function_call_output', call_id: 'c1', output: 'found' };
    const expected = [
      { role: 'user', content: 'Find it' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'lookup', arguments: '{"q":1}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'found' },
    ];
    router.fixture.script.turn = threeWords;
    await turn({ input: [output], previous_response_id: first.id });
    expect(sent()).toEqual(expected);
    const references = first.output.map(({ id }: { id: string }) => ({ type: 'item_reference', id }));
    expect(references).toHaveLength(2);
    const third = await turn({ input: [{ role: 'user', content: 'Find it' }, ...references, output] });
    expect(sent()).toEqual(expected);
    // A reference may come without its type, and twice; and a conversation with references goes on as others do.
    const [message] = third.output;
    await turn({
      input: [{ id: message.id }, { id: message.id, type: null }, { role: 'user', content: 'Why?' }],
      previous_response_id: third.id,
    });
    const said = { role: 'assistant', content: 'one two three' };
    expect(sent()).toEqual([...expected, said, said, { role: 'user', content: 'Why?' }]);
  });
});

describe('what is kept', () => {
  test('is shown, listed and deleted', async () => {
    const first = await askJson({
      instructions: 'Be brief.',
      metadata: { team: 'blue' },
      input: [
        { role: 'user', content: 'One' },
        { role: 'assistant', content: [{ type: 'output_text', text: 'Two' }] },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_text', text: 'Three' }] },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'Four' },
            { type: 'input_image', image_url: 'data:image/png;base64,AAAA' },
          ],
        },
      ],
      tools: [{ type: 'function', name: 'f', parameters: { type: 'object', properties: { z: {}, a: {} } } }],
    });
    const shown = await call('GET', first.id);
    expect(shown.status).toBe(200);
    expect(shown.json).toEqual(first);
    expect(Object.keys(shown.json.tools[0].parameters.properties)).toEqual(['z', 'a']);

    const path = `${first.id}/input_items`;
    const all = (await call('GET', `${path}?order=asc`)).json;
    const suffix = first.id.replace('resp_', '');
    expect(all).toEqual({
      object: 'list',
      first_id: `msg_${suffix}_in0`,
      last_id: `msg_${suffix}_in4`,
      has_more: false,
      data: [
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'One' }] },
        {
          type: 'message',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Two', annotations: [], logprobs: [] }],
        },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: 'Three' },
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_text', text: 'Four' },
            { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
          ],
        },
      ].map((item, place) => ({ ...item, status: 'completed', id: all.data[place].id })),
    });
    const newest = (await call('GET', `${path}?limit=2`)).json;
    expect(newest).toMatchObject({ has_more: true, data: [all.data[4], all.data[3]] });
    const next = (await call('GET', `${path}?limit=2&after=${newest.last_id}`)).json;
    expect(next).toMatchObject({ has_more: true, data: [all.data[2], all.data[1]] });
    expect((await call('GET', `${path}?limit=9&order=asc&after=${all.data[3].id}`)).json.data).toEqual([
      all.data[4],
    ]);
    expect(await call('GET', `${path}?after=nothing`)).toMatchObject({
      status: 400,
      json: { error: { param: 'after' } },
    });
    expect(await call('GET', `${path}?limit=0`)).toMatchObject({
      status: 400,
      json: { error: { param: 'limit' } },
    });
    expect(await call('GET', `${first.id}?stream=true`)).toMatchObject({
      status: 400,
      json: { error: { param: 'stream' } },
    });
    expect(
      (await call('GET', `${first.id}?include[]=message.output_text.logprobs&stream=false`)).status,
    ).toBe(200);
    expect(await call('POST', `${first.id}/cancel`)).toMatchObject({
      status: 400,
      json: { error: { code: 'invalid_request' } },
    });

    // Some clients send a type with no body.
    const typed = { ...alice, 'content-type': 'application/json' };
    expect(await call('POST', `${first.id}/cancel`, typed)).toMatchObject({
      status: 400,
      json: { error: { message: expect.stringContaining('background') } },
    });

    // Its own input can be referred to, like its output; where it is gone, the item is what is missing.
    const again = [{ type: 'item_reference', id: all.data[4].id }];
    const second = await askJson({ input: again });
    expect(sent()).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Four' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'auto' } },
        ],
      },
    ]);
    expect((await call('GET', `${second.id}/input_items`)).json.data).toEqual([all.data[4]]);
    expect(await call('DELETE', first.id)).toEqual({
      status: 200,
      json: { id: first.id, object: 'response', deleted: true },
    });
    for (const [method, rest] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/input_items'],
      ['POST', '/cancel'],
    ] as const) {
      expect(await call(method, first.id + rest)).toMatchObject({
        status: 404,
        json: { error: { code: 'not_found' } },
      });
    }
    expect((await call('GET', `${second.id}/input_items`)).json.data).toEqual(again);
    expect(await askJson({ input: again })).toMatchObject({
      status: 404,
      code: 'not_found',
      param: 'input.0',
    });
    for (const previous_response_id of [first.id, second.id, 'resp_1', '']) {
      expect(await askJson({ input: 'x', previous_response_id })).toMatchObject({
        status: 400,
        code: 'previous_response_not_found',
        param: 'previous_response_id',
      });
    }
  });

  test('is nothing where the request or the tenant says so', async () => {
    const unkept = await askJson({ input: 'Hello', store: false });
    expect(unkept).toMatchObject({ store: false });
    expect((await call('GET', unkept.id)).status).toBe(404);
    const kept = await askJson({ input: 'Hello', store: null });
    expect(kept).toMatchObject({ store: true });
    // What is kept can be gone on from without keeping more.
    expect(await askJson({ input: 'More', store: false, previous_response_id: kept.id })).toMatchObject({
      store: false,
    });

    await router.setConfig({ responses: { store: false } });
    expect(await askJson({ input: 'Hello', store: true })).toMatchObject({ store: false });
    expect((await call('GET', kept.id)).status).toBe(404);
    const reference = { type: 'item_reference', id: kept.output[0].id };
    for (const [param, body] of [
      ['previous_response_id', { input: 'x', previous_response_id: kept.id }],
      ['input.1', { input: [{ role: 'user', content: 'x' }, reference] }],
    ] as const) {
      expect(await askJson(body)).toMatchObject({
        status: 400,
        code: 'invalid_request',
        param,
        refusal: { policy: 'responses.store' },
      });
    }
  });

  test('is no answer that failed, was refused or was left', async () => {
    const count = async () =>
      (
        await router.fixture.database.asTenant(testContext('acme', 'alice'), (transaction) =>
          transaction.query('SELECT 1 FROM bulkhead.responses'),
        )
      ).length;
    const before = await count();
    router.fixture.script.turn = async function* (context, request, signal) {
      for await (const event of threeWords(context, request, signal)) {
        if (event.type === 'finished') throw new BulkheadError('engine_error', 'It broke off.');
        yield event;
      }
    };
    expect(finalOf((await ask({ input: 'x', stream: true })).text)).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', store: false },
    });
    expect((await ask({ input: 'x' })).status).toBe(502);
    await router.setConfig({ guardrails: { secrets: { output: 'refuse' } } });
    router.fixture.script.turn = saying(`The key is ${KEY}.`);
    expect(finalOf((await ask({ input: 'x', stream: true })).text)).toMatchObject({
      type: 'response.failed',
    });
    expect((await ask({ input: 'x' })).status).toBe(403);
    router.fixture.script.turn = endless;
    const url = await router.fixture.app.listen({ host: '127.0.0.1', port: 0 });
    const left = new AbortController();
    const { body } = await fetch(`${url}/v1/responses`, {
      method: 'POST',
      headers: { ...alice, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'bulkhead-chat', input: 'x', stream: true }),
      signal: left.signal,
    });
    await body?.getReader().read();
    left.abort();
    await router.fixture.usageRows();
    expect(await count()).toBe(before);
  });

  test('is an answer that was cut off', async () => {
    router.fixture.script.turn = async function* (context, request, signal) {
      for await (const event of threeWords(context, request, signal)) {
        yield event.type === 'finished' ? { ...event, finish_reason: 'length' } : event;
      }
    };
    const cut = await askJson({ input: 'x' });
    expect(cut).toMatchObject({ status: 'incomplete', store: true });
    expect((await call('GET', cut.id)).json).toEqual(cut);
  });
});

describe('guardrails', () => {
  test('what they redact is kept redacted, and what was sent is what is kept', async () => {
    await router.setConfig({ pii: 'redact' });
    router.fixture.script.turn = saying(`Pay with ${CARD}, key ${KEY}`);
    const first = await askJson({
      instructions: `Keys such as ${KEY}`,
      metadata: { card: CARD },
      input: [
        { role: 'user', content: `My card is ${CARD}` },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: CARD }] },
        { type: 'message', id: CARD, role: 'user', content: 'x', note: CARD },
      ],
      tools: [{ type: 'function', name: 'f', description: `Key ${KEY}` }],
    });
    const rows = await router.fixture.database.asTenant(testContext('acme', 'alice'), (transaction) =>
      transaction.query('SELECT row::text AS text FROM bulkhead.responses row WHERE response_id = $1', [
        first.id,
      ]),
    );
    expect(rows).toHaveLength(1);
    const text = String(rows[0]?.text);
    expect(text).toContain('REDACTED');
    for (const hidden of [CARD, CARD.replaceAll(' ', ''), KEY]) expect(text).not.toContain(hidden);
  });

  test('a field that no model reads is refused when it would be kept, and not otherwise', async () => {
    await router.setConfig({
      guardrails: { secrets: { input: 'refuse' } },
      sensitive_patterns: [{ name: 'bird', pattern: 'bluebird' }],
    });
    for (const value of [KEY, 'bluebird']) {
      const body = { input: 'x', metadata: { note: value } };
      expect(await askJson(body)).toMatchObject({
        status: 403,
        code: 'guardrail_refused',
        param: 'metadata.note',
      });
      expect(await askJson({ ...body, store: false })).toMatchObject({ store: false });
    }
  });

  test('look at all that is referred to, and name what the client sent', async () => {
    const first = await askJson({ input: 'About the bluebird' });
    router.fixture.script.turn = calling;
    const second = await askJson({ input: 'Find' });
    const item = second.output.find(({ type }: { type: string }) => type === 'function_call');
    const result = { type: 'function_call_output', call_id: 'c1', output: 'y' };
    router.fixture.script.turn = threeWords;
    await router.setConfig({
      sensitive_patterns: [{ name: 'bird', pattern: 'bluebird' }],
      blocked_tools: ['lookup'],
    });
    const turns = router.fixture.turns.length;
    for (const stream of [false, true]) {
      expect(await askJson({ input: 'x', previous_response_id: first.id, stream })).toMatchObject({
        code: 'guardrail_refused',
        param: 'previous_response_id',
      });
      const named = {
        input: [{ role: 'user', content: 'x' }, { type: 'item_reference', id: item.id }, result],
        stream,
      };
      expect(await askJson(named)).toMatchObject({ code: 'tool_blocked', param: 'input.1' });
      expect(await askJson({ input: [result], previous_response_id: second.id, stream })).toMatchObject({
        code: 'tool_blocked',
        param: 'previous_response_id',
      });
    }
    await router.setConfig({ sensitive_patterns: [], pii: 'redact' });
    const third = await askJson({ input: 'x', previous_response_id: first.id });
    expect(third.status).toBe('completed');
    expect(router.fixture.turns.length).toBe(turns + 1);
  });

  test('that became stricter hold for what is shown', async () => {
    router.fixture.script.turn = deltas([
      { content: `Pay with ${CARD}. ` },
      { tool_calls: [{ index: 0, id: 'c1', function: { name: 'pay', arguments: '' } }] },
      { tool_calls: [{ index: 0, function: { arguments: `{"card":"\\u0034${CARD.slice(1)}"}` } }] },
    ]);
    const first = await askJson({
      input: `Card ${CARD}`,
      metadata: { [`card ${CARD}`]: CARD },
      instructions: `Use ${CARD}`,
    });
    expect(JSON.stringify((await call('GET', first.id)).json)).toContain(CARD);
    await router.setConfig({ pii: 'refuse' });
    for (const path of [first.id, `${first.id}/input_items`]) {
      const shown = JSON.stringify((await call('GET', path)).json);
      expect(shown).toContain('REDACTED');
      expect(shown).not.toContain(CARD.slice(1));
    }
  });
});

test('an item with the id of another is not taken for it', async () => {
  const first = await askJson({ input: 'The real one' });
  const real = `msg_${first.id.replace('resp_', '')}_in0`;
  const second = await askJson({
    input: [
      { type: 'message', id: real, role: 'user', content: 'Another' },
      { role: 'user', content: 'Beside it' },
    ],
  });
  const listed = (await call('GET', `${second.id}/input_items?order=asc`)).json.data;
  expect(listed[0]).toMatchObject({ id: real, content: [{ text: 'Another' }] });
  await askJson({
    input: [
      { type: 'item_reference', id: listed[1].id },
      { type: 'item_reference', id: real },
    ],
  });
  expect(sent()).toEqual([
    { role: 'user', content: 'Beside it' },
    { role: 'user', content: 'The real one' },
  ]);
});

test('tokens of what is referred to are held like those of the body', async () => {
  const first = await askJson({ input: 'word '.repeat(4_000) });
  await router.setConfig({ rate_limits: { tokens_per_minute: 1_000_000 } });
  /** Of all tokens, those that are gone or held while the turn runs. */
  const held = async (body: object) => {
    let remaining = '';
    router.fixture.script.turn = async function* (context, request, signal) {
      const { headers } = await router.fixture.app.inject({ url: '/v1/models', headers: alice });
      remaining = String(headers['x-ratelimit-remaining-tokens']);
      yield* threeWords(context, request, signal);
    };
    expect((await ask({ ...body, max_output_tokens: 10 })).status).toBe(200);
    return 1_000_000 - Number(remaining);
  };
  const own = await held({ input: 'x' });
  expect((await held({ input: 'x', previous_response_id: first.id })) - own).toBeGreaterThan(5_000);
  const reference = { type: 'item_reference', id: `msg_${first.id.replace('resp_', '')}_in0` };
  expect((await held({ input: [reference] })) - own).toBeGreaterThan(5_000);
  const answer = { type: 'item_reference', id: first.output[0].id };
  const short = (await held({ input: [answer, { role: 'user', content: 'x' }] })) - own;
  expect(short).toBeGreaterThan(10);
  expect(short).toBeLessThan(500);
});

describe('ids of others', () => {
  test('answer as ids of nobody', async () => {
    const own = await askJson({ input: 'The word is bluebird' });
    const { database, keyOf } = router.fixture;
    const store = createApiKeyStore({ database, pepper: 'a pepper of at least thirty-two characters' });
    const limited = await store.create({
      tenantId: tenantIdSchema.parse('acme'),
      userId: userIdSchema.parse('alice'),
      role: 'member',
      scopes: ['chat', 'conversations'],
      name: 'limited',
      expiresAt: null,
      collections: ['legal'],
    });
    const missing = own.id.replace(/.{4}$/, '0000');
    const replace = (text: string, id: string) =>
      text.replaceAll(id.replace('resp_', ''), 'ID').replace(/req_\w+/g, '');
    for (const headers of [
      await keyOf('globex', 'alice'),
      await keyOf('globex', 'root', 'admin'),
      await keyOf('acme', 'bob'),
      await keyOf('acme', 'root', 'admin'),
      { authorization: `Bearer ${limited.api_key}` },
    ]) {
      const answersTo = async (id: string) => {
        const suffix = id.replace('resp_', '');
        const answers = [];
        for (const [method, rest] of [
          ['GET', ''],
          ['GET', '/input_items'],
          ['POST', '/cancel'],
          ['DELETE', ''],
        ] as const) {
          answers.push(await call(method, id + rest, headers));
        }
        for (const body of [
          { input: 'x', previous_response_id: id },
          { input: 'x', previous_response_id: id, stream: true },
          { input: [{ type: 'item_reference', id: `msg_${suffix}_0` }] },
          {
            input: [
              { type: 'item_reference', id: `msg_${suffix}_in0` },
              { role: 'user', content: 'x' },
            ],
          },
        ]) {
          answers.push(await askJson(body, headers));
        }
        return replace(JSON.stringify(answers), id);
      };
      const theirs = await answersTo(own.id);
      expect(theirs).toBe(await answersTo(missing));
      expect(theirs).not.toContain('bluebird');
    }
    expect((await call('GET', own.id)).status).toBe(200);
    // What a limited key was answered, an unlimited one of the same user may see.
    const theirs = await askJson({ input: 'x' }, { authorization: `Bearer ${limited.api_key}` });
    expect((await call('GET', theirs.id)).status).toBe(200);
  });

  test('a key without the scope, and a tenant without the route, see nothing', async () => {
    const own = await askJson({ input: 'x' });
    const chatOnly = await router.fixture.keyOf('acme', 'alice', 'member', ['chat']);
    expect(await call('GET', own.id, chatOnly)).toMatchObject({
      status: 403,
      json: { error: { code: 'missing_scope' } },
    });
    await router.setConfig({ allowed_routes: ['direct'] });
    expect(await call('GET', own.id)).toMatchObject({
      status: 403,
      json: { error: { code: 'route_not_allowed' } },
    });
    await router.setConfig({
      allowed_routes: ['direct', 'chat', 'rag', 'vault', 'search', 'conversations', 'usage'],
    });
  });
});
