import type { ServerResponse } from 'node:http';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type EngineCall,
  type EngineServer,
  sendStream,
  startEngineServer,
} from '../support/engine-server.ts';
import { type Bulkhead, startBulkhead } from '../support/start-bulkhead.ts';
import { createTenants } from '../support/tenants.ts';

const MODEL = 'org/model-a';

/** Events as vLLM streams them. */
const chunks = (...choices: Readonly<Record<string, unknown>>[]): string => {
  const event = (fields: Readonly<Record<string, unknown>>) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: MODEL, ...fields })}\n\n`;
  const usage = { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 };
  const ends = event({ choices: [], usage });
  return `${choices.map((choice) => event({ choices: [{ index: 0, ...choice }] })).join('')}${ends}data: [DONE]\n\n`;
};
const delta = (fields: Readonly<Record<string, unknown>>, finish_reason: string | null = null) => ({
  delta: fields,
  finish_reason,
});
/** Two parallel calls, the arguments in pieces. */
const TOOL_CALLS = chunks(
  delta({ role: 'assistant', content: '' }),
  delta({
    tool_calls: [{ index: 0, id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }],
  }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '"Paris"}' } }] }),
  delta({
    tool_calls: [{ index: 1, id: 'call_b', type: 'function', function: { name: 'clock', arguments: '{}' } }],
  }),
  delta({}, 'tool_calls'),
);
const TEXT = chunks(delta({ role: 'assistant', content: '' }), delta({ content: 'Hi' }), delta({}, 'stop'));

const FUNCTIONS = ['weather', 'clock'].map((name) => ({
  name,
  description: `Tells the ${name}`,
  parameters: { type: 'object', properties: { city: { type: 'string' } }, additionalProperties: false },
  strict: true,
}));
const TOOLS = FUNCTIONS.map((one) => ({ type: 'function' as const, function: one }));

/** What clients ask of an engine model, and what the engine is asked. */
describe('engine models, by the official openai client', () => {
  let engine: EngineServer;
  let bulkhead: Bulkhead;
  let client: OpenAI;
  const greet = (_call: EngineCall, response: ServerResponse): unknown => sendStream(response, TEXT);
  let answer = greet;
  beforeAll(async () => {
    engine = await startEngineServer((call, response) => answer(call, response));
    bulkhead = await startBulkhead({
      env: { INFERENCE_BASE_URL: engine.baseUrl, INFERENCE_MODEL: MODEL },
    });
    const keys = await createTenants(bulkhead);
    client = new OpenAI({ baseURL: `${bulkhead.url}/v1`, apiKey: keys.alice, maxRetries: 0 });
  });
  afterAll(async () => {
    await bulkhead?.dispose();
    await engine?.close();
  });
  beforeEach(() => {
    answer = greet;
  });
  const asked = () => engine.calls.findLast(({ path }) => path === '/v1/chat/completions')?.body ?? {};
  const hello = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello' }] };

  it('passes what the API has, and nothing that would reach other tenants', async () => {
    await client.chat.completions.create({
      ...hello,
      messages: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Look' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
      ],
      tools: TOOLS,
      tool_choice: { type: 'function', function: { name: 'weather' } },
      parallel_tool_calls: false,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', strict: true, schema: { type: 'object' } },
      },
      max_completion_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      n: 1,
      logprobs: true,
      top_logprobs: 2,
      seed: 7,
      stop: ['\n\n'],
      frequency_penalty: 0.1,
      presence_penalty: 0.2,
      user: 'somebody',
      metadata: { a: 'b' },
      store: true,
      service_tier: 'auto',
      ...{ cache_salt: 'of-another', priority: -1, chat_template: '{{ 1 }}', prompt_embeds: 'x' },
    });
    const body = asked();
    expect(body).toMatchObject({
      model: MODEL,
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Look' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
      ],
      // The one that was chosen.
      tools: TOOLS.slice(0, 1),
      tool_choice: 'required',
      parallel_tool_calls: false,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', strict: true, schema: { type: 'object' } },
      },
      max_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      n: 1,
      logprobs: true,
      top_logprobs: 2,
      seed: 7,
      stop: ['\n\n'],
      frequency_penalty: 0.1,
      presence_penalty: 0.2,
    });
    expect(body.cache_salt).not.toBe('of-another');
    for (const name of [
      'priority',
      'chat_template',
      'prompt_embeds',
      'user',
      'metadata',
      'store',
      'service_tier',
    ]) {
      expect(body).not.toHaveProperty(name);
    }
  });

  it('streams tool calls, each delta with its index, that the client’s helper puts together', async () => {
    answer = (_call, response) => sendStream(response, TOOL_CALLS);
    const stream = client.chat.completions.stream({
      ...hello,
      tools: TOOLS,
      stream_options: { include_usage: true },
    });
    const indexes: unknown[] = [];
    stream.on('chunk', ({ choices }) => {
      for (const call of choices[0]?.delta.tool_calls ?? []) indexes.push(call.index);
    });
    const { choices, usage } = await stream.finalChatCompletion();
    // Guardrails may put pieces together, never out of order.
    expect(indexes).toEqual([...indexes].sort());
    expect(new Set(indexes)).toEqual(new Set([0, 1]));
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        tool_calls: [
          { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } },
          { id: 'call_b', type: 'function', function: { name: 'clock', arguments: '{}' } },
        ],
      },
    });
    expect(usage?.total_tokens).toBe(29);
    const whole = await client.chat.completions.create({ ...hello, tools: TOOLS });
    expect(whole.choices[0]?.message).toMatchObject({
      refusal: null,
      tool_calls: [{ id: 'call_a' }, { id: 'call_b' }],
    });
    expect(whole.choices[0]?.logprobs).toBeNull();
  });

  it('serves the older functions by tools, and answers in their form', async () => {
    answer = (_call, response) => sendStream(response, TOOL_CALLS);
    const functions = FUNCTIONS.map(({ strict: _strict, ...one }) => one);
    const messages = [
      { role: 'user' as const, content: 'Weather, then time?' },
      {
        role: 'assistant' as const,
        content: null,
        function_call: { name: 'weather', arguments: '{"city":"Rome"}' },
      },
      { role: 'function' as const, name: 'weather', content: 'Sunny' },
    ];
    const request = { model: MODEL, messages, functions, function_call: 'auto' as const };
    const { choices } = await client.chat.completions.create(request);
    const call = { name: 'weather', arguments: '{"city":"Paris"}' };
    expect(choices).toMatchObject([
      { finish_reason: 'function_call', message: { content: null, function_call: call } },
    ]);
    expect(choices[0]?.message).not.toHaveProperty('tool_calls');
    expect(asked()).toMatchObject({
      messages: [
        messages[0],
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ type: 'function', function: { name: 'weather' } }],
        },
        { role: 'tool', content: 'Sunny' },
      ],
      tools: functions.map((one) => ({ type: 'function', function: one })),
      tool_choice: 'auto',
      parallel_tool_calls: false,
    });
    expect(asked()).not.toHaveProperty('functions');

    const pieces = { name: '', arguments: '', finished: '' };
    for await (const { choices: streamed } of await client.chat.completions.create({
      ...request,
      stream: true,
    })) {
      const { delta: piece, finish_reason } = streamed[0] ?? {};
      expect(piece?.tool_calls).toBeUndefined();
      pieces.name += piece?.function_call?.name ?? '';
      pieces.arguments += piece?.function_call?.arguments ?? '';
      pieces.finished += finish_reason ?? '';
    }
    expect(pieces).toEqual({ ...call, finished: 'function_call' });

    // One of them by its name: offered alone, as a call that must be made.
    await client.chat.completions.create({ ...request, function_call: { name: 'clock' } });
    expect(asked()).toMatchObject({ tools: [{ function: { name: 'clock' } }], tool_choice: 'required' });
  });

  it('streams function calls of the newer API in the order that it documents', async () => {
    answer = (_call, response) => sendStream(response, TOOL_CALLS);
    const tools = FUNCTIONS.map((one) => ({ type: 'function' as const, ...one }));
    const stream = client.responses.stream({ model: MODEL, input: 'Hello', tools });
    const types: string[] = [];
    stream.on('event', ({ type }) => {
      if (types.at(-1) !== type) types.push(type);
    });
    const { output, status } = await stream.finalResponse();
    expect(status).toBe('completed');
    expect(output).toMatchObject([
      {
        type: 'function_call',
        call_id: 'call_a',
        name: 'weather',
        arguments: '{"city":"Paris"}',
        status: 'completed',
      },
      { type: 'function_call', call_id: 'call_b', name: 'clock', arguments: '{}', status: 'completed' },
    ]);
    const call = ['response.function_call_arguments.done', 'response.output_item.done'];
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      ...call,
      ...call,
      'response.completed',
    ]);

    answer = (_call, response) => sendStream(response, TEXT);
    const outputs = output
      .filter((item) => item.type === 'function_call')
      .flatMap((item) => [
        item,
        { type: 'function_call_output' as const, call_id: item.call_id, output: 'sunny' },
      ]);
    const second = await client.responses.create({
      model: MODEL,
      input: [{ role: 'user', content: 'Hello' }, ...outputs],
      tools,
    });
    expect(second.output_text).toBe('Hi');
    expect(asked().messages).toMatchObject([
      { role: 'user', content: 'Hello' },
      { role: 'assistant', tool_calls: [{ id: 'call_a' }] },
      { role: 'tool', tool_call_id: 'call_a', content: 'sunny' },
      { role: 'assistant', tool_calls: [{ id: 'call_b' }] },
      { role: 'tool', tool_call_id: 'call_b', content: 'sunny' },
    ]);
  });

  it('goes on from calls that are kept, by the response or by references to them, with defaults', async () => {
    const tools = FUNCTIONS.map((one) => ({ type: 'function' as const, ...one }));
    const ask = { model: MODEL, tools, input: 'Hello', instructions: 'Be brief.' };
    answer = (_call, response) => sendStream(response, TOOL_CALLS);
    const first = await client.responses.stream(ask).finalResponse();
    const calls = first.output.filter((item) => item.type === 'function_call');
    const results = calls.map(({ call_id }) => ({
      type: 'function_call_output' as const,
      call_id,
      output: 'sunny',
    }));
    const expected = [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', tool_calls: [{ id: 'call_a' }, { id: 'call_b' }] },
      { role: 'tool', tool_call_id: 'call_a', content: 'sunny' },
      { role: 'tool', tool_call_id: 'call_b', content: 'sunny' },
    ];
    answer = greet;
    const second = await client.responses.create({
      model: MODEL,
      tools,
      input: results,
      previous_response_id: first.id,
    });
    expect(second.output_text).toBe('Hi');
    expect(asked().messages).toMatchObject(expected);
    const references = (items: readonly { id?: string | null }[]) =>
      items.map(({ id }) => ({ type: 'item_reference' as const, id: id ?? '' }));
    const third = await client.responses
      .stream({
        model: MODEL,
        tools,
        input: [
          { role: 'user', content: 'Hello' },
          ...references(calls),
          ...results,
          ...references(second.output),
          { role: 'user', content: 'Thanks' },
        ],
      })
      .finalResponse();
    const thanked = [...expected, { role: 'assistant', content: 'Hi' }, { role: 'user', content: 'Thanks' }];
    expect(asked().messages).toMatchObject(thanked);
    await client.responses.create({ model: MODEL, input: 'More', previous_response_id: third.id });
    expect(asked().messages).toMatchObject([
      ...thanked,
      { role: 'assistant', content: 'Hi' },
      { role: 'user', content: 'More' },
    ]);
    const items = await client.responses.inputItems.list(third.id, { order: 'asc' });
    expect(items.data).toMatchObject([
      { type: 'message', role: 'user' },
      ...calls.map(({ id, call_id, name }) => ({ type: 'function_call', id, call_id, name })),
      ...results,
      ...second.output,
      { type: 'message', role: 'user' },
    ]);
  });

  it('tells the probabilities of the tokens in the newer API as in the older', async () => {
    const logprobs = (token: string, top_logprobs: unknown[] = []) => ({
      content: [{ token, logprob: -0.5, bytes: null, top_logprobs }],
    });
    const told = (text: string, top_logprobs: unknown[] = []) => ({
      token: text,
      logprob: -0.5,
      bytes: [...Buffer.from(text)],
      top_logprobs,
    });
    answer = (_call, response) =>
      sendStream(
        response,
        chunks(
          delta({ role: 'assistant', content: '' }),
          { ...delta({ content: 'Hi' }), logprobs: logprobs('Hi', [{ token: 'Yo', logprob: -2 }]) },
          { ...delta({ content: ' é' }), logprobs: logprobs(' é') },
          delta({}, 'stop'),
        ),
      );
    const ask = {
      model: MODEL,
      input: 'Hello',
      include: ['message.output_text.logprobs' as const],
      top_logprobs: 1,
    };
    const expected = [told('Hi', [{ token: 'Yo', logprob: -2, bytes: [89, 111] }]), told(' é')];

    const whole = await client.responses.create(ask);
    expect(asked()).toMatchObject({ logprobs: true, top_logprobs: 1 });
    expect(whole.top_logprobs).toBe(1);
    expect(whole.output).toMatchObject([{ content: [{ text: 'Hi é', logprobs: expected }] }]);

    const events = [];
    for await (const event of await client.responses.create({ ...ask, stream: true })) events.push(event);
    const pieces = events.filter((event) => event.type === 'response.output_text.delta');
    expect(pieces.flatMap((event) => event.logprobs)).toEqual(expected);
    const done = events.find((event) => event.type === 'response.output_text.done');
    expect(done).toMatchObject({ text: 'Hi é', logprobs: expected });

    answer = greet;
    await client.responses.create({ model: MODEL, input: 'Hello', include: ['reasoning.encrypted_content'] });
    expect(asked()).not.toHaveProperty('logprobs');
  });

  it('tells a prompt that is too long by the code that clients know', async () => {
    const message =
      "This model's maximum context length is 4096 tokens. However, your request has 9031 input tokens.";
    answer = (_call, response) => {
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message, type: 'BadRequestError', param: null, code: 400 } }));
    };
    for (const ask of [
      () => client.chat.completions.create(hello),
      () => client.chat.completions.create({ ...hello, stream: true }),
      () => client.responses.create({ model: MODEL, input: 'Hello' }),
      () => client.completions.create({ model: MODEL, prompt: 'Hello' }),
    ]) {
      const failure = await ask().then(
        () => null,
        (error: unknown) => error,
      );
      expect(failure).toBeInstanceOf(OpenAI.BadRequestError);
      expect(failure).toMatchObject({ code: 'context_length_exceeded' });
      expect(String(failure)).toContain('maximum context length is 4096 tokens');
    }
  });

  it('throws the client’s own error where the engine breaks off', async () => {
    answer = (_call, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(TEXT.split('\n\n').slice(0, 2).join('\n\n').concat('\n\n'));
      setTimeout(() => response.destroy(), 50);
    };
    const stream = await client.chat.completions.create({ ...hello, stream: true });
    const read = async () => {
      for await (const _chunk of stream);
    };
    await expect(read()).rejects.toBeInstanceOf(OpenAI.APIError);
    const response = client.responses.stream({ model: MODEL, input: 'Hello' });
    const types: string[] = [];
    response.on('event', ({ type }) => types.push(type));
    await response.done().catch(() => undefined);
    expect(types.at(-1)).toBe('response.failed');
  });

  it('refuses an image by its address, and content that engines cannot read, by their place', async () => {
    const calls = engine.calls.length;
    const image = { type: 'image_url' as const, image_url: { url: 'http://169.254.169.254/latest' } };
    const refusal = client.chat.completions.create({
      ...hello,
      messages: [{ role: 'user', content: [image] }],
    });
    await expect(refusal).rejects.toMatchObject({ status: 400, param: 'messages.0.content.0.image_url' });
    const input = [
      {
        role: 'user' as const,
        content: [{ type: 'input_image' as const, detail: 'auto' as const, image_url: image.image_url.url }],
      },
    ];
    await expect(client.responses.create({ model: MODEL, input })).rejects.toMatchObject({
      status: 400,
      param: expect.stringMatching(/^input\.0\.content\.0/),
    });
    expect(engine.calls.length).toBe(calls);
  });
});
