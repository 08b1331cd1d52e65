import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import { cacheSaltOf } from '#inference/cache-salt.ts';
import type { GenerateRequest } from '#inference/inference-engine.ts';
import { fixedCredential } from '#inference/openai/engine-credential.ts';
import { VLLMClient, type VLLMClientOptions } from '#inference/vllm-client.ts';
import { itemsOf } from '#test/support/batches.ts';
import {
  type EngineCall,
  type EngineServer,
  sendError,
  sendStream,
  startEngineServer,
  streamOf,
} from '#test/support/engine-server.ts';
import { testContext } from '#test/support/test-context.ts';

const recorded = (name: string) => readFileSync(new URL(`./fixtures/llama-cpp/${name}`, import.meta.url));
const SECRET = 'a secret of at least thirty-two characters';
const acme = testContext('acme');
const never = new AbortController().signal;

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function setUp(
  answer: (call: EngineCall, response: ServerResponse, nth: number) => unknown,
  options: Partial<VLLMClientOptions> = {},
): Promise<{ server: EngineServer; client: VLLMClient; waits: number[] }> {
  const server = await startEngineServer(answer);
  const waits: number[] = [];
  const client = new VLLMClient({
    baseUrl: server.baseUrl,
    defaultModel: 'served',
    cacheSaltSecret: SECRET,
    retry: {
      random: () => 0.5,
      sleep: async (milliseconds) => {
        waits.push(milliseconds);
      },
    },
    ...options,
  });
  opened.push(client, server);
  return { server, client, waits };
}

const request = (fields: Partial<GenerateRequest> = {}): GenerateRequest => ({
  model: 'served',
  messages: [{ role: 'user', content: 'Hello?' }],
  sampling: {},
  engineParameters: {},
  sources: null,
  ...fields,
});

async function read(client: VLLMClient, fields: Partial<GenerateRequest> = {}, signal = never) {
  const chunks: ChatCompletionChunk[] = [];
  for await (const chunk of itemsOf(client.generate(acme, request(fields), signal))) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks: readonly ChatCompletionChunk[], index = 0) =>
  chunks
    .flatMap(({ choices }) => choices.filter((choice) => choice.index === index))
    .map(({ delta }) => delta.content ?? '')
    .join('');
const finishOf = (chunks: readonly ChatCompletionChunk[], index = 0) =>
  chunks.flatMap(({ choices }) => choices).find((choice) => choice.index === index && choice.finish_reason)
    ?.finish_reason;

describe('recorded streams of llama.cpp', () => {
  it('give the text, the finish reason and the usage to the token', async () => {
    const { client } = await setUp((_call, response) => sendStream(response, recorded('chat.sse')));
    const chunks = await read(client);
    expect(textOf(chunks)).toBe('The capital of France is Paris.');
    expect(finishOf(chunks)).toBe('stop');
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 43, completion_tokens: 8, total_tokens: 51 },
    });
  });

  it.each(['chat.sse', 'unicode.sse', 'tool-call.sse', 'tool-call-made.sse'])(
    '%s is the same however its bytes are cut',
    async (name) => {
      const bytes = recorded(name);
      const { client } = await setUp(async ({ body }, response) => {
        const at = Number(body.seed);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(bytes.subarray(0, at));
        await delay(0);
        response.end(bytes.subarray(at));
      });
      const whole = await read(client, { sampling: { seed: 0 } });
      const step = Math.max(1, Math.floor(bytes.length / 40));
      for (let at = 1; at < bytes.length; at += step) {
        expect(await read(client, { sampling: { seed: at } })).toEqual(whole);
      }
    },
  );

  it('with CRLF, comments and a byte order mark read the same', async () => {
    const plain = recorded('chat.sse').toString();
    const odd = `\uFEFF: hello\r\n${plain.replaceAll('\n\n', '\n: keep-alive\n\n').replaceAll('\n', '\r\n')}`;
    const { client } = await setUp((_call, response, nth) => sendStream(response, nth === 1 ? plain : odd));
    expect(await read(client)).toEqual(await read(client));
  });

  it('give a tool call in pieces, each with its index', async () => {
    const { client } = await setUp((_call, response) => sendStream(response, recorded('tool-call-made.sse')));
    const chunks = await read(client, { engineParameters: { tools: [], tool_choice: 'required' } });
    const pieces = chunks.flatMap(({ choices }) => choices.flatMap(({ delta }) => delta.tool_calls ?? []));
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.every(({ index }) => index === 0)).toBe(true);
    expect(pieces[0]).toMatchObject({
      id: expect.stringMatching(/^\w{32}$/),
      type: 'function',
      function: { name: 'get_weather' },
    });
    const parts = z
      .array(z.looseObject({ function: z.looseObject({ arguments: z.string() }) }))
      .parse(pieces);
    const written = parts.map((piece) => piece.function.arguments).join('');
    expect(JSON.parse(written)).toEqual({ city: 'Paris' });
    expect(finishOf(chunks)).toBe('tool_calls');
  });

  it('count both of two choices', async () => {
    const { client } = await setUp((_call, response) => sendStream(response, recorded('two-choices.sse')));
    const chunks = await read(client, { engineParameters: { n: 2 } });
    expect([finishOf(chunks, 0), finishOf(chunks, 1)]).toEqual(['length', 'length']);
    expect(chunks.at(-1)?.usage).toMatchObject({
      prompt_tokens: 33,
      completion_tokens: 12,
      total_tokens: 45,
    });
  });

  it('without usage say what is known, and that it is an estimate', async () => {
    const { client } = await setUp((_call, response) => sendStream(response, recorded('no-usage.sse')));
    expect((await read(client)).at(-1)?.usage).toEqual({
      prompt_tokens: 0,
      completion_tokens: 12,
      total_tokens: 12,
      estimated: true,
    });
  });

  it('errors are told as the server told them', async () => {
    const { client, server } = await setUp((_call, response) => {
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(recorded('context-exceeded.json'));
    });
    await expect(read(client)).rejects.toMatchObject({
      code: 'context_length_exceeded',
      message: expect.stringContaining('exceeds the available context size (4096 tokens)'),
    });
    expect(server.calls).toHaveLength(1);
  });

  it.each([
    ['image-refused.json', 'image input is not supported'],
    ['tools-refused.json', 'Missing tool function'],
    ['arguments-refused.json', 'Failed to parse tool call arguments as JSON'],
  ])('%s is the client’s to correct, whatever its status says', async (name, message) => {
    const { client, server } = await setUp((_call, response) => {
      response.writeHead(500, { 'content-type': 'application/json' });
      response.end(recorded(name));
    });
    await expect(read(client)).rejects.toMatchObject({
      code: 'engine_rejected',
      message: expect.stringContaining(message),
    });
    expect(server.calls).toHaveLength(1);
  });
});

describe('what is sent', () => {
  it('always streams with usage, and carries the tenant’s cache salt', async () => {
    const { client, server } = await setUp((_call, response) => sendStream(response, streamOf(['Hi'])), {
      credential: fixedCredential('engine-key'),
    });
    await read(client, { sampling: { temperature: 0.2, max_tokens: 5 } });
    for await (const _ of client.generate(testContext('globex'), request(), never));
    const [first, second] = server.calls;
    expect(first?.path).toBe('/v1/chat/completions');
    expect(first?.headers).toMatchObject({
      authorization: 'Bearer engine-key',
      'x-request-id': acme.requestId,
    });
    expect(first?.body).toEqual({
      model: 'served',
      messages: [{ role: 'user', content: 'Hello?' }],
      temperature: 0.2,
      max_tokens: 5,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
      cache_salt: cacheSaltOf(SECRET, acme.tenantId),
    });
    expect(second?.body.cache_salt).not.toBe(first?.body.cache_salt);
    expect(JSON.stringify(server.calls.map(({ body }) => body))).not.toMatch(/acme|globex/);
  });

  it('has no cache salt where it is switched off', async () => {
    const { client, server } = await setUp((_call, response) => sendStream(response, streamOf(['Hi'])), {
      cacheSaltSecret: null,
    });
    await read(client);
    expect(server.calls[0]?.body).not.toHaveProperty('cache_salt');
  });

  it('lets a client name neither model, cache, priority nor anything unknown', async () => {
    const { client, server } = await setUp((_call, response) => sendStream(response, streamOf(['Hi'])));
    const tools = [{ type: 'function', function: { name: 'f' } }];
    await read(client, {
      engineParameters: {
        model: 'other',
        cache_salt: 'x',
        priority: -1,
        stream: false,
        stream_options: {},
        messages: [],
        prompt_embeds: 'x',
        chat_template: '{{ 1 }}',
        tools,
        n: 2,
      },
    });
    const body = server.calls[0]?.body ?? {};
    expect(body).toMatchObject({ model: 'served', stream: true, tools, n: 2 });
    expect(body.cache_salt).toBe(cacheSaltOf(SECRET, acme.tenantId));
    expect(Object.keys(body).sort()).toEqual(
      ['cache_salt', 'messages', 'model', 'n', 'stream', 'stream_options', 'tools'].sort(),
    );
  });

  it.each([0, 9, 1.5, '2'])('refuses n = %j', async (n) => {
    const { client, server } = await setUp((_call, response) => sendStream(response, streamOf(['Hi'])));
    await expect(read(client, { engineParameters: { n } })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'n',
    });
    expect(server.calls).toEqual([]);
  });

  it('offers no tool that a server would run, and call an address for', async () => {
    const { client, server } = await setUp((_call, response) => sendStream(response, streamOf(['Hi'])));
    const lookup = { type: 'function', function: { name: 'lookup' } };
    for (const tool of [
      { type: 'mcp', server_label: 'x', server_url: 'http://169.254.169.254/' },
      { type: 'code_interpreter' },
      { type: 'web_search', function: { name: 'lookup' } },
      { type: 7 },
    ]) {
      await expect(read(client, { engineParameters: { tools: [lookup, tool] } })).rejects.toMatchObject({
        code: 'invalid_request',
        param: 'tools.1.type',
      });
    }
    expect(server.calls).toEqual([]);
    const tools = [lookup, { type: 'custom', custom: { name: 'own' } }, { function: { name: 'untyped' } }];
    await read(client, { engineParameters: { tools } });
    expect(server.calls[0]?.body.tools).toEqual(tools);
  });

  it('never has the engine fetch an address for a client', async () => {
    const { client, server } = await setUp((_call, response) => sendStream(response, streamOf(['Hi'])));
    const withPart = (part: { type: string; [name: string]: unknown }) => ({
      messages: [{ role: 'user' as const, content: [part] }],
    });
    for (const url of [
      'http://169.254.169.254/',
      'https://x/a.png',
      'file:///etc/passwd',
      'data:text/html,x',
    ]) {
      await expect(read(client, withPart({ type: 'image_url', image_url: { url } }))).rejects.toMatchObject({
        code: 'invalid_request',
        param: 'messages.0.content.0.image_url',
      });
    }
    for (const type of ['video_url', 'audio_url', 'image_embeds', 'prompt_embeds']) {
      await expect(read(client, withPart({ type }))).rejects.toMatchObject({
        param: 'messages.0.content.0.type',
      });
    }
    expect(server.calls).toEqual([]);
    await read(client, withPart({ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }));
    expect(server.calls).toHaveLength(1);
  });
});

describe('failures', () => {
  const modelGone = {
    error: { message: 'The model `x` does not exist.', type: 'NotFoundError', param: 'model', code: 404 },
  };
  it.each([
    [400, { error: { message: 'too long', param: 'messages' } }, 'engine_rejected', 1],
    [422, { error: 'Input validation error', error_type: 'validation' }, 'engine_rejected', 1],
    // As vLLM, and TGI twice, say that a prompt is too long.
    [
      400,
      {
        error: {
          message:
            "This model's maximum context length is 4096 tokens. However, your request has 9031 input tokens.",
          type: 'BadRequestError',
          param: 'input_tokens',
          code: 400,
        },
      },
      'context_length_exceeded',
      1,
    ],
    [
      422,
      {
        error: 'Input validation error: `inputs` must have less than 1024 tokens. Given: 9031',
        error_type: 'validation',
      },
      'context_length_exceeded',
      1,
    ],
    [
      422,
      {
        error:
          'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1000 `inputs` tokens and 2000 `max_new_tokens`',
        error_type: 'validation',
      },
      'context_length_exceeded',
      1,
    ],
    [401, {}, 'engine_error', 1],
    [404, modelGone, 'model_not_found', 1],
    [404, { detail: 'Not Found' }, 'engine_error', 1],
    [500, {}, 'engine_error', 1],
    [302, {}, 'engine_error', 1],
    [422, { error: 'Model is overloaded', error_type: 'overloaded' }, 'engine_overloaded', 3],
    [429, {}, 'engine_overloaded', 3],
    [502, '<html>', 'engine_unavailable', 3],
    [
      503,
      { error: { message: 'Loading model', type: 'unavailable_error', code: 503 } },
      'engine_overloaded',
      3,
    ],
    [504, {}, 'engine_timeout', 3],
  ])('status %i with %j is %s, after %i tries', async (status, body, code, tries) => {
    const { client, server } = await setUp((_call, response) => sendError(response, status, body));
    await expect(read(client)).rejects.toMatchObject({ name: 'BulkheadError', code });
    expect(server.calls).toHaveLength(tries);
  });

  it('are tried again before the first token, with backoff, and then answered', async () => {
    const { client, server, waits } = await setUp((_call, response, nth) =>
      nth < 3 ? sendError(response, 503) : sendStream(response, streamOf(['Hi', ' there'])),
    );
    expect(textOf(await read(client))).toBe('Hi there');
    expect(server.calls).toHaveLength(3);
    expect(waits).toEqual([125, 250]);
  });

  it('wait as long as the server asks, and not longer than is sensible', async () => {
    const soon = await setUp((_call, response, nth) =>
      nth === 1
        ? sendError(response, 429, {}, { 'retry-after': '2' })
        : sendStream(response, streamOf(['Hi'])),
    );
    await read(soon.client);
    expect(soon.waits).toEqual([2_125]);
    const late = await setUp((_call, response) => sendError(response, 429, {}, { 'retry-after': '3600' }));
    await expect(read(late.client)).rejects.toMatchObject({
      code: 'engine_overloaded',
      retryAfterMs: 3_600_000,
    });
    expect(late.server.calls).toHaveLength(1);
  });

  it('of the connection: refused, and reset before the answer, are tried again', async () => {
    const { client, server } = await setUp((_call, response, nth) =>
      nth < 3 ? response.socket?.destroy() : sendStream(response, streamOf(['Hi'])),
    );
    expect(textOf(await read(client))).toBe('Hi');
    await server.close();
    await expect(read(client)).rejects.toMatchObject({ code: 'engine_unavailable' });
  });

  it.each([
    ['nothing but [DONE]', 'data: [DONE]\n\n'],
    ['nothing at all', ''],
    ['only comments', ': ping\n\n'],
    ['no JSON', 'data: {"id": \n\n'],
    ['no object', 'data: 3\n\n'],
  ])('before the first token, %s, are tried again', async (_what, stream) => {
    const { client, server } = await setUp((_call, response) => sendStream(response, stream));
    await expect(read(client)).rejects.toMatchObject({ code: 'engine_error' });
    expect(server.calls).toHaveLength(3);
  });

  it('that vLLM sends as an event after the 200 are told, and not tried again after a token', async () => {
    const error =
      'data: {"error": {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}}\n\n';
    const begun = streamOf(['Hi', ' there']).split('\n\n').slice(0, 2).join('\n\n');
    const { client, server } = await setUp((_call, response) =>
      sendStream(response, `${begun}\n\n${error}data: [DONE]\n\n`),
    );
    await expect(read(client)).rejects.toMatchObject({
      code: 'engine_error',
      message: 'The inference engine failed.',
    });
    expect(server.calls).toHaveLength(1);
  });

  it('of an event with a client’s mistake are the client’s', async () => {
    const { client, server } = await setUp((_call, response) =>
      sendStream(response, 'data: {"error":{"message":"bad grammar","code":400}}\n\ndata: [DONE]\n\n'),
    );
    await expect(read(client)).rejects.toMatchObject({ code: 'engine_rejected' });
    expect(server.calls).toHaveLength(1);
  });

  it('a connection that is cut within the answer is an error, not an end', async () => {
    const begun = streamOf(['Hi', ' there']).split('\n\n').slice(0, 2).join('\n\n');
    const { client, server } = await setUp(async (_call, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`${begun}\n\n`);
      await delay(20);
      response.destroy();
    });
    const chunks: ChatCompletionChunk[] = [];
    await expect(async () => {
      for await (const chunk of itemsOf(client.generate(acme, request(), never))) chunks.push(chunk);
    }).rejects.toMatchObject({ code: 'engine_error' });
    expect(textOf(chunks)).toBe('Hi');
    expect(server.calls).toHaveLength(1);
  });

  it('an answer that ends politely but not at its end is an error too', async () => {
    const begun = streamOf(['Hi', ' there']).split('\n\n').slice(0, 2).join('\n\n');
    const { client } = await setUp((_call, response) => sendStream(response, `${begun}\n\n`));
    await expect(read(client)).rejects.toMatchObject({ code: 'engine_error' });
  });

  it('an event without end is cut off', async () => {
    const { client } = await setUp(
      (_call, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const fill = () => {
          while (response.write('x'.repeat(65_536)));
        };
        response.on('drain', fill);
        response.write('data: ');
        fill();
      },
      { maxAttempts: 1 },
    );
    await expect(read(client)).rejects.toMatchObject({ code: 'engine_error' });
  });

  it('a server that does not stream is told apart', async () => {
    const { client, server } = await setUp((_call, response) => sendError(response, 200, { choices: [] }));
    await expect(read(client)).rejects.toMatchObject({
      code: 'engine_error',
      message: expect.stringContaining('does not stream'),
    });
    expect(server.calls).toHaveLength(1);
  });
});

describe('streams that leave something out', () => {
  const line = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;

  it('get a finish reason, an id, a role-less delta and an index', async () => {
    const { client } = await setUp((_call, response) =>
      sendStream(
        response,
        `${line({ choices: [{ delta: { content: 'Hi' }, finish_reason: '' }] })}${line({
          choices: [
            { index: 0, delta: { tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{}' } }] } },
          ],
        })}data: [DONE]\n\n`,
      ),
    );
    const chunks = await read(client);
    expect(textOf(chunks)).toBe('Hi');
    expect(chunks[1]?.choices[0]?.delta.tool_calls?.[0]?.index).toBe(0);
    expect(finishOf(chunks)).toBe('tool_calls');
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(chunks.at(-1)?.usage).toMatchObject({ estimated: true, completion_tokens: 2 });
  });

  it('may end without [DONE] once they are complete', async () => {
    const { client } = await setUp((_call, response) =>
      sendStream(response, streamOf(['Hi']).replace('data: [DONE]\n\n', '')),
    );
    expect(textOf(await read(client))).toBe('Hi');
  });
});

describe('time', () => {
  it('a server that accepts and says nothing is given up, and not asked again', async () => {
    const { client, server } = await setUp(() => undefined, { firstTokenTimeoutMs: 50 });
    await expect(read(client)).rejects.toMatchObject({ code: 'engine_timeout' });
    expect(server.calls).toHaveLength(1);
    await server.calls[0]?.cutOff;
  });

  it('comments keep nobody waiting for ever', async () => {
    const { client, server } = await setUp(
      (_call, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const timer = setInterval(() => response.write(': ping\n\n'), 5);
        response.once('close', () => clearInterval(timer));
      },
      { firstTokenTimeoutMs: 60 },
    );
    await expect(read(client)).rejects.toMatchObject({ code: 'engine_timeout' });
    await server.calls[0]?.cutOff;
  });

  it('a stall within the answer ends it', async () => {
    const { client, server } = await setUp(
      (_call, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(streamOf(['Hi']).split('data: [DONE]')[0]?.split('\n\n').slice(0, 2).join('\n\n'));
        response.write('\n\n');
      },
      { idleTimeoutMs: 50 },
    );
    await expect(read(client)).rejects.toMatchObject({ code: 'engine_timeout' });
    await server.calls[0]?.cutOff;
  });
});

describe('leaving', () => {
  const endless = async (_call: EngineCall, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const [role = '', text = ''] = streamOf(['Hi']).split('\n\n');
    response.write(`${role}\n\n`);
    const timer = setInterval(() => response.write(`${text}\n\n`), 2);
    response.once('close', () => clearInterval(timer));
  };

  it('by abort ends the call with the reason, and the engine’s work', async () => {
    const { client, server } = await setUp(endless);
    const controller = new AbortController();
    const reason = new DOMException('left', 'AbortError');
    const reading = read(client, {}, controller.signal);
    setTimeout(() => controller.abort(reason), 30);
    await expect(reading).rejects.toBe(reason);
    await server.calls[0]?.cutOff;
    expect(server.calls).toHaveLength(1);
  });

  it('by breaking the loop does too, and leaves nothing on the signal', async () => {
    const { client, server } = await setUp(endless);
    const controller = new AbortController();
    const listeners = countListeners(controller.signal);
    for (let i = 0; i < 20; i++) {
      let seen = 0;
      for await (const _ of itemsOf(client.generate(acme, request(), controller.signal)))
        if (++seen === 3) break;
    }
    await Promise.all(server.calls.map(({ cutOff }) => cutOff));
    expect(listeners()).toBe(0);
  });

  it('while the reader is slow ends the engine’s work all the same', async () => {
    const { client, server } = await setUp(endless);
    const controller = new AbortController();
    const stream = client.generate(acme, request(), controller.signal);
    await stream.next();
    controller.abort();
    await server.calls[0]?.cutOff;
    await expect(stream.next()).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('a reader that is slow holds the engine up, and misses nothing', async () => {
    const pieces = Array.from({ length: 1_000 }, (_, nth) => `${nth} `.padEnd(20_000, '.'));
    let answer: ServerResponse | undefined;
    const { client } = await setUp((_call, response) => {
      answer = response;
      return sendStream(response, streamOf(pieces));
    });
    const chunks: ChatCompletionChunk[] = [];
    for await (const chunk of itemsOf(client.generate(acme, request(), never))) {
      if (chunks.length === 3) {
        await delay(300);
        // 20 MB do not fit into the sockets' buffers: what the engine cannot send waits on its side.
        expect(answer?.writableLength).toBeGreaterThan(1_000_000);
      }
      chunks.push(chunk);
    }
    expect(textOf(chunks) === pieces.join('')).toBe(true);
  });

  it('before the call makes none, and during the wait between tries ends it', async () => {
    const { client, server } = await setUp((_call, response) => sendError(response, 503), {
      retry: { baseDelayMs: 60_000, maxDelayMs: 60_000, random: () => 1 },
    });
    await expect(read(client, {}, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
    expect(server.calls).toHaveLength(0);
    await expect(read(client, {}, AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(server.calls).toHaveLength(1);
  });

  it('a finished call keeps its connection for the next', async () => {
    const { client, server } = await setUp((_call, response) => sendStream(response, streamOf(['Hi'])));
    for (let i = 0; i < 5; i++) {
      await read(client);
      await delay(5);
    }
    expect(server.calls).toHaveLength(5);
    expect(server.connections()).toBe(1);
  });
});

describe('how much of a prompt was in the engine’s cache', () => {
  const usageFrom = async (owner: string, options: Partial<VLLMClientOptions> = {}) => {
    const list = JSON.stringify({ data: [{ id: 'served', owned_by: owner, created: 1 }] });
    const { client } = await setUp(
      ({ path }, response) =>
        path.endsWith('/models') ? response.end(list) : sendStream(response, recorded('chat.sse')),
      options,
    );
    await client.checkReady(never);
    return (await read(client)).at(-1)?.usage;
  };

  it('is not told where tenants may share that cache: it would say what another one has asked', async () => {
    const usage = await usageFrom('llamacpp');
    expect(usage).toMatchObject({ prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) });
    expect(usage).not.toHaveProperty('prompt_tokens_details');
    expect(await usageFrom('vllm', { cacheSaltSecret: null })).not.toHaveProperty('prompt_tokens_details');
  });

  it('is told by vLLM, whose cache the salt parts', async () => {
    const usage = await usageFrom('vllm');
    expect(usage).toHaveProperty('prompt_tokens_details.cached_tokens', expect.any(Number));
  });
});

describe('models', () => {
  it('are listed once for many callers, and kept a while', async () => {
    let now = 0;
    const { client, server } = await setUp((_call, response) => response.end(recorded('models.json')), {
      monotonicNow: () => now,
      modelsFreshMs: 1_000,
    });
    const lists = await Promise.all([client.listModels(never), client.listModels(never)]);
    expect(lists[0]).toEqual([{ id: 'smollm2', owned_by: 'llamacpp', created: expect.any(Number) }]);
    await client.listModels(never);
    expect(server.calls).toHaveLength(1);
    now = 1_001;
    await client.listModels(never);
    await client.checkReady(never);
    expect(server.calls).toHaveLength(3);
  });

  it('a caller may leave while others wait', async () => {
    const { client } = await setUp(async (_call, response) => {
      await delay(50);
      response.end(recorded('models.json'));
    });
    const staying = client.listModels(never);
    await expect(client.listModels(AbortSignal.timeout(5))).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(await staying).toHaveLength(1);
  });

  it('that cannot be listed are an error each time', async () => {
    const { client, server } = await setUp((_call, response, nth) =>
      nth === 1 ? sendError(response, 503) : response.end('[]'),
    );
    await expect(client.checkReady(never)).rejects.toMatchObject({ code: 'engine_overloaded' });
    await expect(client.listModels(never)).rejects.toMatchObject({ code: 'engine_error' });
    await server.close();
    await expect(client.listModels(never)).rejects.toMatchObject({ code: 'engine_unavailable' });
  });
});

/** Listeners that are on a signal now. */
function countListeners(signal: AbortSignal): () => number {
  let count = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...parameters: Parameters<typeof add>) => {
    count += 1;
    add(...parameters);
  };
  signal.removeEventListener = (...parameters: Parameters<typeof remove>) => {
    count -= 1;
    remove(...parameters);
  };
  return () => count;
}
