import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TurnEvent } from '#app/schemas/turn.ts';
import { createRouterFixture, type TurnScript, threeWords } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let alice: { authorization: string };
beforeAll(async () => {
  fixture = await createRouterFixture();
  alice = await fixture.keyOf('acme', 'alice');
  await open();
});
afterAll(() => fixture.close());

/** No policy and no limit but those of a test. */
const open = (patch: Record<string, unknown> = {}) =>
  fixture.setConfig('acme', {
    sensitive_patterns: [],
    blocked_tools: [],
    models: null,
    allowed_routes: ['chat', 'rag', 'direct', 'vault', 'search', 'conversations', 'usage'],
    rate_limits: { requests_per_minute: null, requests_per_hour: null, tokens_per_minute: null },
    ...patch,
  });
const post = (url: string, payload: Record<string, unknown>, headers: Record<string, string> = alice) =>
  fixture.app.inject({ method: 'POST', url, headers, payload });
const errorOf = async (url: string, payload: Record<string, unknown>) => {
  const response = await post(url, payload);
  return { status: response.statusCode, ...response.json().error };
};
const rowOf = async (id: unknown) =>
  (await fixture.usageRows()).find(({ request_id }) => request_id === id) ?? {};

/** The least that each route takes, with this text in it. */
const BODIES: readonly [url: string, body: (text: string) => Record<string, unknown>, param: string][] = [
  ['/v1/responses', (text) => ({ model: 'bulkhead-chat', input: text }), 'input'],
  ['/v1/completions', (text) => ({ model: 'bulkhead-chat', prompt: text }), 'prompt'],
  ['/v1/embeddings', (text) => ({ model: 'bulkhead-embed', input: text }), 'input'],
];
const TURNS = BODIES.slice(0, 2);

describe('every route', () => {
  test.each(BODIES)('%s settles the tokens that were used', async (url, body) => {
    const used = url === '/v1/embeddings' ? 1 : 10;
    for (const stream of url === '/v1/embeddings' ? [false] : [false, true]) {
      const response = await post(url, { ...body('hello'), stream });
      expect(response.statusCode).toBe(200);
      const row = await rowOf(response.headers['x-request-id']);
      expect(Number(row.prompt_tokens) + Number(row.completion_tokens)).toBe(used);
      expect(Number(row.cost_usd)).toBeGreaterThan(0);
      expect(row).toMatchObject({ status: 200, outcome: 'ok' });
    }
  });

  test.each(BODIES)('%s counts against the tokens of the minute', async (url, body) => {
    const used = url === '/v1/embeddings' ? 1 : 10;
    await open({ rate_limits: { requests_per_minute: null, tokens_per_minute: 1_000_000 } });
    const remaining: number[] = [];
    for (let i = 0; i < 2; i++) {
      await post(url, body('hello'));
      // The next one says what the last ones left.
      const { headers } = await post('/v1/vault/search', { query: 'x' });
      remaining.push(Number(headers['x-ratelimit-remaining-tokens']));
    }
    expect((remaining[0] ?? 0) - (remaining[1] ?? 0)).toBe(used);
    await open();
  });

  test.each(BODIES)(
    '%s refuses a sensitive pattern, streamed or not, and names the field',
    async (url, body, param) => {
      await open({ sensitive_patterns: [{ name: 'project', pattern: 'bluebird' }] });
      const turns = fixture.turns.length;
      for (const stream of [false, true]) {
        expect(await errorOf(url, { ...body('What of Blue\u200bBird?'), stream })).toMatchObject({
          status: 403,
          code: 'guardrail_refused',
          param,
        });
      }
      expect(fixture.turns.length).toBe(turns);
      await open();
    },
  );

  test.each(BODIES)('%s refuses routes, models, tenants and scopes as chat does', async (url, body) => {
    await open({ allowed_routes: ['vault'] });
    expect(await errorOf(url, body('x'))).toMatchObject({ status: 403, code: 'route_not_allowed' });
    await open({ models: ['other'] });
    const named = { ...body('x'), model: url === '/v1/embeddings' ? 'bulkhead-embed' : 'org/model-a' };
    expect(await errorOf(url, named)).toMatchObject({ status: 403, code: 'model_not_allowed' });
    await open();
    for (const claim of [{ tenant_id: 'globex' }, { user_id: 'eve' }]) {
      expect((await post(url, { ...body('x'), ...claim })).statusCode).toBe(403);
    }
    const reader = await fixture.keyOf('acme', 'alice', 'member', ['vault:read']);
    expect((await post(url, body('x'), reader)).json().error.code).toBe('missing_scope');
    expect((await post(url, body('x'), fixture.operator)).statusCode).toBe(403);
    expect((await post(url, body('x'), {})).statusCode).toBe(401);
  });

  test.each(BODIES)('%s ignores what it does not know', async (url, body) => {
    expect((await post(url, { ...body('x'), user: 'u', surprise: { a: 1 } })).statusCode).toBe(200);
  });

  test.each(TURNS)('%s tells a failure under way in its own words, and counts it', async (url, body) => {
    fixture.script.turn = breaksOff;
    const response = await post(url, { ...body('x'), stream: true });
    expect(response.statusCode).toBe(200);
    const last = JSON.parse(response.body.trim().split('\n').at(-1)?.slice('data: '.length) ?? '');
    const error = url === '/v1/responses' ? last.response.error : last.error;
    expect(error.code).toBe('engine_error');
    if (url === '/v1/responses') {
      expect(last).toMatchObject({
        type: 'response.failed',
        response: { status: 'failed', output: [{ content: [{ text: 'half ' }], status: 'incomplete' }] },
      });
    }
    expect(await rowOf(response.headers['x-request-id'])).toMatchObject({
      outcome: 'error',
      completion_tokens: 1,
    });
    fixture.script.turn = threeWords;
  });

  test.each(TURNS)('%s answers an early failure with its status, streamed or not', async (url, body) => {
    fixture.script.turn = failsEarly;
    for (const stream of [false, true]) {
      expect(await errorOf(url, { ...body('x'), stream })).toMatchObject({
        status: 400,
        code: 'invalid_request',
        param: url === '/v1/responses' ? 'input' : 'prompt',
      });
    }
    fixture.script.turn = threeWords;
  });
});

describe('POST /v1/completions', () => {
  const body = { model: 'bulkhead-chat', prompt: ['hello'] };

  test('answers, whole and streamed', async () => {
    expect((await post('/v1/completions', body)).json()).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, text: 'one two three', logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    });
    const { payload } = await post('/v1/completions', {
      ...body,
      model: 'org/model-a',
      stream: true,
      stream_options: { include_usage: true },
    });
    const events = payload
      .trim()
      .split('\n\n')
      .map((event) => event.slice('data: '.length));
    expect(events.pop()).toBe('[DONE]');
    const chunks = events.map((event) => JSON.parse(event));
    expect(chunks.every(({ object }) => object === 'text_completion')).toBe(true);
    expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe('one two three');
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason).filter(Boolean)).toEqual(['stop']);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 10 } });
  });

  test.each([
    ['prompt', { prompt: ['a', 'b'] }],
    ['prompt', { prompt: [1, 2, 3] }],
    ['prompt', { prompt: '' }],
    ['echo', { echo: true }],
    ['suffix', { suffix: 'x' }],
    ['logprobs', { logprobs: 3 }],
    ['best_of', { best_of: 2 }],
    ['n', { n: 2 }],
    ['max_tokens', { max_tokens: 0 }],
  ])('a bad %s', async (param, patch) => {
    expect(await errorOf('/v1/completions', { ...body, ...patch })).toMatchObject({ status: 400, param });
  });
});

describe('POST /v1/embeddings', () => {
  const embed = (patch: Record<string, unknown>) =>
    errorOf('/v1/embeddings', { model: 'bulkhead-embed', ...patch });

  test('holds the tokens of its texts while it runs, and of no answer', async () => {
    await fixture.setConfig('globex', { rate_limits: { tokens_per_minute: 1_000 } });
    const bob = await fixture.keyOf('globex', 'bob');
    const body = { model: 'bulkhead-embed', input: 'x'.repeat(600) };
    const { headers } = await post('/v1/embeddings', body, bob);
    expect(headers['x-ratelimit-remaining-tokens']).toBe(
      String(1_000 - Math.ceil(JSON.stringify(body).length / 4)),
    );
  });

  test('numbers, and the same as base64', async () => {
    const whole = (await post('/v1/embeddings', { model: 'bulkhead-embed', input: ['a', 'bcd'] })).json();
    expect(whole).toEqual({
      object: 'list',
      data: [
        { object: 'embedding', index: 0, embedding: [1, 0.5] },
        { object: 'embedding', index: 1, embedding: [3, 0.5] },
      ],
      model: 'bulkhead-embed',
      usage: { prompt_tokens: 2, total_tokens: 2 },
    });
    const encoded = await post('/v1/embeddings', {
      model: 'bulkhead-embed',
      input: 'bcd',
      encoding_format: 'base64',
    });
    const bytes = Buffer.from(encoded.json().data[0].embedding, 'base64');
    expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([3, 0.5]);
  });

  test('decodes the tokens that LangChain sends', async () => {
    const hello = [9906, 11, 1917, 0];
    const one = await post('/v1/embeddings', { model: 'bulkhead-embed', input: hello });
    expect(one.json().data[0].embedding[0]).toBe('Hello, world!'.length);
    const two = await post('/v1/embeddings', { model: 'bulkhead-embed', input: [hello, [9906]] });
    expect(two.json().data.map(({ embedding }: { embedding: number[] }) => embedding[0])).toEqual([13, 5]);
  });

  test('polices what the tokens say', async () => {
    await open({ sensitive_patterns: [{ name: 'greeting', pattern: 'hello, world' }] });
    expect(await embed({ input: [[9906], [9906, 11, 1917, 0]] })).toMatchObject({
      status: 403,
      code: 'guardrail_refused',
      param: 'input.1',
    });
    await open();
  });

  test.each([
    ['input', {}],
    ['input', { input: [] }],
    ['input', { input: ' ' }],
    ['input', { input: 5 }],
    ['input.1', { input: ['a', ''] }],
    ['input.1', { input: ['a', 5] }],
    ['input.0.1', { input: [[9906, -1]] }],
    ['input.0.1', { input: [[9906, 100_256]] }],
    ['input.2', { input: [9906, 11, 'x'] }],
    ['input', { input: Array.from({ length: 2_049 }, () => 'a') }],
    ['encoding_format', { input: 'a', encoding_format: 'int8' }],
    ['model', { model: '', input: 'a' }],
  ])('a bad %s', async (param, patch) => {
    expect(await embed(patch)).toMatchObject({ status: 400, param });
  });
});

describe('a text that is too long', () => {
  test.each([
    ['input.3', ['a', 'b', 'c', 'x'.repeat(100_001)]],
    ['input.1', [[9906], Array.from({ length: 8_193 }, () => 9906)]],
    ['input', 'x'.repeat(100_001)],
  ])('is told of %s by the code that clients know', async (param, input) => {
    expect(await errorOf('/v1/embeddings', { model: 'bulkhead-embed', input })).toMatchObject({
      status: 400,
      type: 'invalid_request_error',
      code: 'context_length_exceeded',
      message: expect.stringContaining('maximum context length is 8192 tokens'),
      param,
    });
  });
});

describe('what a model cannot do is refused, not forgotten', () => {
  const tools = [{ type: 'function', function: { name: 'f' } }];
  const schema = { name: 'a', schema: { type: 'object' } };
  test.each([
    ['tool_choice', { tools, tool_choice: 'required' }],
    ['tool_choice', { tools, tool_choice: { type: 'function', function: { name: 'f' } } }],
    ['response_format', { response_format: { type: 'json_schema', json_schema: schema } }],
    ['response_format', { response_format: { type: 'json_object' } }],
    ['n', { n: 2 }],
  ])('%s on our own models', async (param, patch) => {
    const messages = [{ role: 'user', content: 'x' }];
    for (const model of ['bulkhead-rag', 'bulkhead-chat']) {
      const body = { model, messages, ...patch };
      expect(await errorOf('/v1/chat/completions', body)).toMatchObject({ status: 400, param });
    }
    expect((await post('/v1/chat/completions', { model: 'org/a', messages, ...patch })).statusCode).toBe(200);
  });

  test('the same in the words of the newer API', async () => {
    const request = (patch: Record<string, unknown>) =>
      errorOf('/v1/responses', { model: 'bulkhead-rag', input: 'x', ...patch });
    const tool = { type: 'function', name: 'f' };
    expect(await request({ tools: [tool], tool_choice: tool })).toMatchObject({ param: 'tool_choice' });
    const format = { type: 'json_schema', ...schema };
    expect(await request({ text: { format } })).toMatchObject({ param: 'text.format' });
  });

  test('what may be left unused is', async () => {
    const messages = [{ role: 'user', content: 'x' }];
    const patch = {
      tools,
      tool_choice: 'auto',
      parallel_tool_calls: true,
      response_format: { type: 'text' },
    };
    const response = await post('/v1/chat/completions', { model: 'bulkhead-rag', messages, ...patch });
    expect(response.statusCode).toBe(200);
    expect(fixture.turns.at(-1)?.engine_parameters).toEqual({});
  });

  test.each([
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'x' }] }],
    ['/v1/completions', { prompt: 'x' }],
    ['/v1/responses', { input: 'x' }],
  ])('the embedding model does not chat on %s', async (url, body) => {
    const turns = fixture.turns.length;
    expect(await errorOf(url, { model: 'bulkhead-embed', ...body })).toMatchObject({
      status: 404,
      code: 'model_not_found',
      param: 'model',
    });
    expect(fixture.turns.length).toBe(turns);
  });
});

describe('POST /v1/responses', () => {
  const direct = { model: 'org/model-a' };
  const lookup = {
    type: 'function',
    name: 'lookup',
    description: 'Looks up',
    parameters: { type: 'object', properties: { q: { type: 'string' } } },
    strict: true,
  };

  test('is a chat turn to the engine', async () => {
    await post('/v1/responses', {
      ...direct,
      instructions: 'Be brief.',
      input: [
        { role: 'user', content: 'Find it' },
        { type: 'reasoning', id: 'rs_1', summary: [] },
        {
          type: 'message',
          role: 'assistant',
          content: [
            { type: 'output_text', text: 'I ' },
            { type: 'output_text', text: 'look' },
          ],
        },
        { type: 'function_call', call_id: 'c1', name: 'lookup', arguments: '{"q":1}' },
        { type: 'function_call', call_id: 'c2', name: 'lookup', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 'found' },
        { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'none' }] },
        { role: 'developer', content: [{ type: 'input_text', text: 'Now answer' }] },
      ],
      tools: [lookup],
      tool_choice: { type: 'function', name: 'lookup' },
      parallel_tool_calls: false,
      max_output_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      text: { format: { type: 'json_schema', name: 'answer', schema: { type: 'object' }, strict: true } },
      reasoning: { effort: 'low' },
    });
    const call = (id: string, args: string) => ({
      id,
      type: 'function',
      function: { name: 'lookup', arguments: args },
    });
    expect(fixture.turns.at(-1)).toMatchObject({
      route: 'direct',
      model: 'org/model-a',
      persist: false,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Find it' },
        { role: 'assistant', content: 'I look', tool_calls: [call('c1', '{"q":1}'), call('c2', '{}')] },
        { role: 'tool', tool_call_id: 'c1', content: 'found' },
        { role: 'tool', tool_call_id: 'c2', content: 'none' },
        { role: 'developer', content: 'Now answer' },
      ],
      sampling: { max_tokens: 50, temperature: 0.5, top_p: 0.9 },
    });
    const { type: _type, ...named } = lookup;
    expect(fixture.turns.at(-1)?.engine_parameters).toEqual({
      tools: [{ type: 'function', function: named }],
      tool_choice: 'required',
      parallel_tool_calls: false,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'answer', schema: { type: 'object' }, strict: true },
      },
      reasoning_effort: 'low',
    });
  });

  test('offers the allowed tools alone, after policy has seen all', async () => {
    const tools = [lookup, { type: 'function', name: 'shell' }];
    const tool_choice = {
      type: 'allowed_tools',
      mode: 'required',
      tools: [{ type: 'function', name: 'lookup' }],
    };
    await post('/v1/responses', { ...direct, input: 'x', tools, tool_choice });
    expect(fixture.turns.at(-1)?.engine_parameters).toMatchObject({
      tools: [{ function: { name: 'lookup' } }],
      tool_choice: 'required',
    });
    await open({ blocked_tools: ['shell'] });
    expect(await errorOf('/v1/responses', { ...direct, input: 'x', tools, tool_choice })).toMatchObject({
      code: 'tool_blocked',
      param: 'tools.1.name',
    });
    await open();
  });

  test.each([
    ['tools.0.name', { tools: [{ type: 'function', name: 'Shell' }] }],
    ['tool_choice.name', { tool_choice: { type: 'function', name: 'shell' } }],
    [
      'input.1.name',
      {
        input: [
          { role: 'user', content: 'x' },
          { type: 'function_call', call_id: 'c', name: 'shell', arguments: '{}' },
        ],
      },
    ],
  ])('a blocked tool is refused in %s, streamed or not', async (param, patch) => {
    await open({ blocked_tools: ['shell'] });
    for (const stream of [false, true]) {
      expect(await errorOf('/v1/responses', { ...direct, input: 'x', stream, ...patch })).toMatchObject({
        status: 403,
        code: 'tool_blocked',
        param,
      });
    }
    await open();
  });

  test.each([
    ['instructions', { instructions: 'bluebird' }],
    ['input.0.content', { input: [{ role: 'user', content: [{ type: 'input_text', text: 'bluebird' }] }] }],
    [
      'input.0.content',
      {
        input: [
          {
            role: 'user',
            content: [
              { type: 'input_text', text: 'blue' },
              { type: 'input_text', text: 'bird' },
            ],
          },
        ],
      },
    ],
    [
      'input.0.content',
      { input: [{ role: 'assistant', content: [{ type: 'output_text', text: 'bluebird' }] }] },
    ],
    [
      'input.0.content',
      {
        input: [
          { role: 'developer', content: 'bluebird' },
          { role: 'user', content: 'x' },
        ],
      },
    ],
    [
      'input.0.arguments.a',
      {
        input: [{ type: 'function_call', call_id: 'c', name: 'f', arguments: '{"a":"blue\\u0062ird"}' }],
      },
    ],
    [
      'input.1.output',
      {
        input: [
          { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
          { type: 'function_call_output', call_id: 'c', output: 'bluebird' },
        ],
      },
    ],
    ['tools.0.description', { tools: [{ ...lookup, description: 'bluebird' }] }],
    ['text.format.schema', { text: { format: { type: 'json_schema', name: 'a', schema: { bluebird: 1 } } } }],
  ])('a sensitive pattern is found in %s', async (param, patch) => {
    await open({ sensitive_patterns: [{ name: 'project', pattern: 'bluebird' }] });
    for (const stream of [false, true]) {
      expect(await errorOf('/v1/responses', { ...direct, input: 'x', stream, ...patch })).toMatchObject({
        status: 403,
        code: 'guardrail_refused',
        param,
      });
    }
    await open();
  });

  test.each([
    ['input', {}],
    ['input', { input: [] }],
    ['input', { input: [{ type: 'reasoning', summary: [] }] }],
    ['input.0.role', { input: [{ role: 'king', content: 'x' }] }],
    ['input.1.content', { input: [{ role: 'user', content: 'x' }, { role: 'user' }] }],
    [
      'input.0.content.0.type',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }] },
    ],
    ['input.0.content.0.text', { input: [{ role: 'user', content: [{ type: 'input_text' }] }] }],
    [
      'input.0.content.0.type',
      { input: [{ role: 'assistant', content: [{ type: 'input_image', image_url: 'data:' }] }] },
    ],
    ['input.0.type', { input: [{ type: 'web_search_call', id: 'w' }] }],
    ['input.0.arguments', { input: [{ type: 'function_call', call_id: 'c', name: 'f', arguments: {} }] }],
    ['tools.0.type', { input: 'x', tools: [{ type: 'web_search' }] }],
    ['tool_choice.type', { input: 'x', tool_choice: { type: 'file_search' } }],
    [
      'tool_choice.tools',
      {
        input: 'x',
        tools: [lookup],
        tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'other' }] },
      },
    ],
    ['text.format.name', { input: 'x', text: { format: { type: 'json_schema', schema: {} } } }],
    ['previous_response_id', { input: 'x', previous_response_id: 1 }],
    ['conversation', { input: 'x', conversation: 'conv_1' }],
    ['background', { input: 'x', background: true }],
    ['max_output_tokens', { input: 'x', max_output_tokens: 0 }],
    ['stream', { input: 'x', stream: 'yes' }],
  ])('a bad %s is a 400 that names it', async (param, patch) => {
    expect(await errorOf('/v1/responses', { ...direct, ...patch })).toMatchObject({
      status: 400,
      code: 'invalid_request',
      param,
    });
  });

  test('says what was asked for, and whether it is kept', async () => {
    const body = (
      await post('/v1/responses', {
        ...direct,
        input: 'x',
        store: false,
        metadata: { a: 'b' },
        temperature: 1,
      })
    ).json();
    expect(body).toMatchObject({
      object: 'response',
      status: 'completed',
      store: false,
      metadata: { a: 'b' },
      temperature: 1,
      model: 'org/model-a',
      output: [
        {
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'one two three', annotations: [] }],
        },
      ],
      usage: { input_tokens: 7, output_tokens: 3, total_tokens: 10 },
    });
  });
});

const breaksOff: TurnScript = async function* (_context, request): AsyncGenerator<TurnEvent> {
  yield { type: 'started', conversation_id: null, route: request.route, model: 'm', engine: 'seam' };
  yield { type: 'delta', text: 'half ' };
  throw new BulkheadError('engine_error', 'The inference engine broke off its answer.');
};

// biome-ignore lint/correctness/useYield: it fails before there is anything to yield.
const failsEarly: TurnScript = async function* () {
  const param = 'messages.0';
  throw new BulkheadError('invalid_request', `${param}: must be a message of the user`, { param });
};

test.each([
  [{ tools: 'shell' }, 'tools', 'must be an array, not a string'],
  [{ tools: { type: 'function' } }, 'tools', 'must be an array, not an object'],
  [{ tools: ['shell'] }, 'tools.0', 'must be an object, not a string'],
  [{ functions: 'shell' }, 'functions', 'must be an array, not a string'],
  [{ response_format: 'json' }, 'response_format', 'must be an object, not a string'],
  [{ tool_choice: 1 }, 'tool_choice', 'must be a string or an object, not a number'],
  [{ function_call: ['f'] }, 'function_call', 'must be a string or an object, not an array'],
  [{ parallel_tool_calls: 'yes' }, 'parallel_tool_calls', 'must be true or false, not a string'],
  [{ frequency_penalty: 3 }, 'frequency_penalty', 'must be at most 2'],
  [{ presence_penalty: '1' }, 'presence_penalty', 'must be a number, not a string'],
  [{ logit_bias: [1] }, 'logit_bias', 'must be an object, not an array'],
  [{ logit_bias: { 50256: '1' } }, 'logit_bias.50256', 'must be a number, not a string'],
  [{ logprobs: 3 }, 'logprobs', 'must be true or false, not a number'],
  [{ top_logprobs: -1 }, 'top_logprobs', 'must be at least 0'],
  [{ reasoning_effort: 1 }, 'reasoning_effort', 'must be a string, not a number'],
])('chat refuses %j itself, and asks no engine', async (field, param, words) => {
  const turns = fixture.turns.length;
  for (const model of ['some/engine-model', 'bulkhead-rag']) {
    const body = { model, messages: [{ role: 'user', content: 'x' }], ...field };
    expect(await errorOf('/v1/chat/completions', body)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      param,
      message: `${param}: ${words}`,
    });
  }
  expect(fixture.turns.length).toBe(turns);
});

const STRING_OR = 'must be a string, or an array of';
test.each<[url: string, body: Record<string, unknown>, param: string, words: string]>([
  ['/v1/chat/completions', {}, 'messages', 'is required'],
  ['/v1/completions', {}, 'prompt', 'is required'],
  ['/v1/completions', { prompt: 7 }, 'prompt', `${STRING_OR} one; arrays of tokens are not taken`],
  ['/v1/embeddings', { model: 'bulkhead-embed' }, 'input', 'is required'],
  ['/v1/embeddings', { model: 'bulkhead-embed', input: {} }, 'input', `${STRING_OR} strings or of tokens`],
  [
    '/v1/embeddings',
    { model: 'bulkhead-embed', input: [{}] },
    'input.0',
    'must be a string or an array of tokens',
  ],
  ['/v1/responses', {}, 'input', 'is required'],
  ['/v1/responses', { input: 7 }, 'input', 'must be a string or an array of items'],
])('%s says of %j what is wrong, in words of JSON', async (url, body, param, words) => {
  expect(await errorOf(url, { model: 'bulkhead-rag', ...body })).toMatchObject({
    status: 400,
    code: 'invalid_request',
    param,
    message: `${param}: ${words}`,
  });
});

/** What OpenAI's specification lets a client leave out, and the messages' fields of it. */
const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  '/v1/chat/completions': [
    ...['audio', 'frequency_penalty', 'function_call', 'functions', 'logit_bias', 'logprobs', 'max_tokens'],
    ...['max_completion_tokens', 'metadata', 'modalities', 'n', 'parallel_tool_calls', 'prediction', 'seed'],
    ...['presence_penalty', 'prompt_cache_key', 'reasoning_effort', 'response_format', 'safety_identifier'],
    ...['service_tier', 'stop', 'store', 'stream', 'stream_options', 'temperature', 'tool_choice', 'tools'],
    ...['top_logprobs', 'top_p', 'user', 'verbosity', 'web_search_options'],
  ],
  '/v1/completions': [
    ...['best_of', 'echo', 'frequency_penalty', 'logit_bias', 'logprobs', 'max_tokens', 'n', 'seed', 'stop'],
    ...['presence_penalty', 'stream', 'stream_options', 'suffix', 'temperature', 'top_p', 'user'],
  ],
  '/v1/embeddings': ['dimensions', 'encoding_format', 'user'],
  '/v1/responses': [
    ...['background', 'conversation', 'include', 'instructions', 'max_output_tokens', 'max_tool_calls'],
    ...['metadata', 'parallel_tool_calls', 'previous_response_id', 'prompt', 'prompt_cache_key', 'reasoning'],
    ...['safety_identifier', 'service_tier', 'store', 'stream', 'stream_options', 'temperature', 'text'],
    ...['tool_choice', 'tools', 'top_logprobs', 'top_p', 'truncation', 'user'],
  ],
};
const MESSAGE_FIELDS = ['name', 'tool_calls', 'function_call', 'refusal', 'audio', 'tool_call_id'];
const nulls = (names: readonly string[] = []) => Object.fromEntries(names.map((name) => [name, null]));

describe('null is what a client leaves out', () => {
  test.each([
    ['/v1/vault/search', ['top_k', 'diversity', 'document_ids', 'collection', 'tenant_id', 'user_id']],
    ['/v1/vector_stores/vs_vault/search', ['max_num_results', 'filters', 'rewrite_query', 'ranking_options']],
  ])('%s', async (url, names) => {
    const [plain, withNulls] = [
      await post(url, { query: 'x' }),
      await post(url, { query: 'x', ...nulls(names) }),
    ];
    expect([plain.statusCode, withNulls.statusCode]).toEqual([200, 200]);
    expect(withNulls.json().data).toEqual(plain.json().data);
  });

  const message = { role: 'user', content: 'hello', ...nulls(MESSAGE_FIELDS) };
  const silent = { role: 'assistant', content: null, ...nulls(MESSAGE_FIELDS) };
  const item = { type: null, role: 'user', content: 'hello', id: null, status: null };
  test.each<[url: string, model: string, body: Record<string, unknown>]>([
    ['/v1/chat/completions', 'bulkhead-rag', { messages: [silent, message] }],
    ['/v1/chat/completions', 'some/engine-model', { messages: [silent, message] }],
    ['/v1/completions', 'bulkhead-rag', { prompt: 'hello' }],
    ['/v1/completions', 'some/engine-model', { prompt: 'hello' }],
    ['/v1/responses', 'bulkhead-rag', { input: [item] }],
    ['/v1/responses', 'some/engine-model', { input: [item] }],
    ['/v1/embeddings', 'bulkhead-embed', { input: 'hello' }],
  ])('%s with %s', async (url, model, body) => {
    const turns = fixture.turns.length;
    const response = await post(url, { model, ...nulls(OPTIONAL[url]), ...body });
    expect(response.json().error?.message).toBeUndefined();
    expect(response.statusCode).toBe(200);
    for (const { sampling, engine_parameters: parameters } of fixture.turns.slice(turns)) {
      expect(Object.values({ ...sampling, ...parameters })).not.toContain(null);
    }
    expect(fixture.turns.length - turns).toBe(url === '/v1/embeddings' ? 0 : 1);
  });
});
