import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI, { APIError } from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import {
  createRouterFixture,
  endless,
  type TurnScript,
  threeWords,
} from '../../test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let url: string;
let alice: { authorization: string };

beforeAll(async () => {
  fixture = await createRouterFixture({ keepAliveMs: 50 });
  url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  alice = await fixture.keyOf('acme');
  await fixture.setConfig('acme', { rate_limits: { requests_per_minute: null, concurrent_requests: 1 } });
});
afterEach(() => {
  fixture.script.turn = threeWords;
});
afterAll(() => fixture.close());

const ask = (body: Record<string, unknown>, signal?: AbortSignal) =>
  fetch(`${url}/v1/chat`, {
    method: 'POST',
    headers: { ...alice, 'content-type': 'application/json' },
    body: JSON.stringify({ message: 'hello', ...body }),
    ...(signal === undefined ? {} : { signal }),
  });

/** Waits for something that another part of the program is about to make true. */
async function eventually<Value>(read: () => Promise<Value> | Value, isDone: (value: Value) => boolean) {
  for (let tries = 0; tries < 500; tries++) {
    const value = await read();
    if (isDone(value)) return value;
    await delay(10);
  }
  throw new Error('It did not happen.');
}

const abortedRows = () =>
  fixture.usageRows().then((rows) => rows.filter(({ outcome }) => outcome === 'aborted').length);

describe('a client that leaves', () => {
  test.each([true, false])('aborts the turn, frees its place and is counted (stream: %s)', async (stream) => {
    const aborted = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    fixture.script.turn = async function* (context, request, signal) {
      signal.addEventListener('abort', () => aborted.resolve());
      started.resolve();
      yield* endless(context, request, signal);
    };
    const before = await abortedRows();
    const leaving = new AbortController();
    const answer = ask({ stream }, leaving.signal);
    answer.catch(() => undefined);
    await started.promise;
    if (stream) await (await answer).body?.getReader().read();
    leaving.abort();
    await aborted.promise;
    await eventually(abortedRows, (count) => count === before + 1);
    // The only place is free again.
    fixture.script.turn = threeWords;
    const next = await eventually(
      () => ask({}),
      ({ status }) => status !== 429,
    );
    expect(next.status).toBe(200);
    await next.text();
  });

  test('that stops reading and then goes away leaves nothing behind', async () => {
    const aborted = Promise.withResolvers<void>();
    const flood: TurnScript = async function* (_context, request, signal) {
      signal.addEventListener('abort', () => aborted.resolve());
      yield { type: 'started', conversation_id: null, route: request.route, model: 'm', engine: 'seam' };
      for (;;) {
        signal.throwIfAborted();
        yield { type: 'delta', text: 'x'.repeat(100_000) };
      }
    };
    fixture.script.turn = flood;
    const { port, hostname } = new URL(url);
    const socket = connect(Number(port), hostname);
    const payload = JSON.stringify({ message: 'hello', stream: true });
    socket.write(
      `POST /v1/chat HTTP/1.1\r\nhost: x\r\nauthorization: ${alice.authorization}\r\n` +
        `content-type: application/json\r\ncontent-length: ${payload.length}\r\n\r\n${payload}`,
    );
    await once(socket, 'readable');
    await delay(100);
    socket.destroy();
    await aborted.promise;
    fixture.script.turn = threeWords;
    const next = await eventually(
      () => ask({}),
      ({ status }) => status !== 429,
    );
    await next.text();
  });
});

describe('failures', () => {
  test('before the first frame have their own status', async () => {
    fixture.script.turn = async function* () {
      yield* [];
      throw new BulkheadError('engine_unavailable', 'The engine cannot be reached.');
    };
    const response = await ask({ stream: true });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: 'engine_unavailable' } });
  });

  test('after it are an event, and the stream ends', async () => {
    const failing: TurnScript = async function* (_context, request) {
      yield { type: 'started', conversation_id: null, route: request.route, model: 'm', engine: 'seam' };
      yield { type: 'delta', text: 'one ' };
      throw new Error('a secret detail');
    };
    fixture.script.turn = failing;
    const native = await (await ask({ stream: true })).text();
    expect(native).toContain('event: error\ndata: {"error":');
    expect(native).toContain('"code":"internal_error"');
    expect(native).not.toContain('secret');

    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: alice.authorization.slice(7), maxRetries: 0 });
    const read = async () => {
      const messages = [{ role: 'user' as const, content: 'hello' }];
      const chunks = await client.chat.completions.create({ model: 'bulkhead-rag', messages, stream: true });
      let text = '';
      for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? '';
      return text;
    };
    await expect(read()).rejects.toBeInstanceOf(APIError);
    const rows = await fixture.usageRows();
    expect(rows.at(-1)).toMatchObject({ outcome: 'error', completion_tokens: 1, status: 500 });
  });

  test('a turn that ends without an end is an error', async () => {
    fixture.script.turn = async function* (_context, request) {
      yield { type: 'started', conversation_id: null, route: request.route, model: 'm', engine: 'seam' };
    };
    const response = await ask({});
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'engine_error' } });
  });
});

test('comments keep a silent stream alive', async () => {
  fixture.script.turn = async function* (context, request, signal) {
    for await (const event of threeWords(context, request, signal)) {
      yield event;
      if (event.type === 'started') await delay(200, undefined, { signal });
    }
  };
  const text = await (await ask({ stream: true })).text();
  expect(text).toContain('\n\n: keep-alive\n\n');
  expect(text).toContain('event: answer');
});

describe('the official OpenAI client', () => {
  const client = () =>
    new OpenAI({ baseURL: `${url}/v1`, apiKey: alice.authorization.slice(7), maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: 'hello' }];

  test('chats, streams with usage, lists models, and reads errors', async () => {
    const whole = await client().chat.completions.create({ model: 'bulkhead-rag', messages });
    expect(whole.choices[0]?.message.content).toBe('one two three');
    const stream = await client().chat.completions.create({
      model: 'org/model-a',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let total = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      total = chunk.usage?.total_tokens ?? total;
    }
    expect([text, total]).toEqual(['one two three', 10]);
    const helper = client().chat.completions.stream({ model: 'bulkhead-rag', messages });
    expect((await helper.finalChatCompletion()).choices[0]?.finish_reason).toBe('stop');
    const models = [];
    for await (const model of client().models.list()) models.push(model.id);
    expect(models).toContain('bulkhead-rag');
    expect((await client().models.retrieve('org/model-a')).id).toBe('org/model-a');
    await expect(
      client().chat.completions.create({ model: 'bulkhead-rag', messages: [] }),
    ).rejects.toMatchObject({ status: 400, param: 'messages', code: 'invalid_request' });
  });

  test('aborts', async () => {
    fixture.script.turn = endless;
    const before = await abortedRows();
    const stream = await client().chat.completions.create({ model: 'bulkhead-rag', messages, stream: true });
    for await (const _chunk of stream) stream.controller.abort();
    await eventually(abortedRows, (count) => count === before + 1);
    fixture.script.turn = threeWords;
    await (
      await eventually(
        () => ask({}),
        ({ status }) => status !== 429,
      )
    ).text();
  });
});

describe('bodies on the wire', () => {
  test.each(['with its length', 'in chunks'])('20 MB %s is a 413 that the client can read', async (how) => {
    const chunk = Buffer.alloc(1_048_576, 'x');
    const body =
      how === 'in chunks'
        ? ReadableStream.from(
            (async function* () {
              for (let i = 0; i < 20; i++) yield chunk;
            })(),
          )
        : Buffer.alloc(20 * 1_048_576, 'x');
    const response = await fetch(`${url}/v1/chat`, {
      method: 'POST',
      headers: { ...alice, 'content-type': 'application/json' },
      body,
      duplex: 'half',
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: { code: 'body_too_large' } });
  });

  test('a doubled credential, a huge header and nonsense are 4xx', async () => {
    const { port, hostname } = new URL(url);
    const talk = async (text: string) => {
      const socket = connect(Number(port), hostname);
      socket.end(text);
      let answer = '';
      for await (const data of socket) answer += String(data);
      return answer;
    };
    const { authorization } = alice;
    expect(
      await talk(
        `GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: ${authorization}\r\n` +
          `authorization: ${authorization}\r\n\r\n`,
      ),
    ).toContain('401 Unauthorized');
    expect(
      await talk(`GET /v1/models HTTP/1.1\r\nhost: x\r\nx-big: ${'x'.repeat(70_000)}\r\n\r\n`),
    ).toContain('431 Request Header Fields Too Large');
    expect(await talk('NONSENSE\r\n\r\n')).toContain('400 Bad Request');
  });
});

test('closing lets streams finish, and says that it is not ready', async () => {
  const closing = await createRouterFixture();
  const base = await closing.app.listen({ host: '127.0.0.1', port: 0 });
  const key = await closing.keyOf('acme');
  const goOn = Promise.withResolvers<void>();
  closing.script.turn = async function* (context, request, signal) {
    for await (const event of threeWords(context, request, signal)) {
      yield event;
      if (event.type === 'started') await goOn.promise;
    }
  };
  const response = await fetch(`${base}/v1/chat`, {
    method: 'POST',
    headers: { ...key, 'content-type': 'application/json' },
    body: JSON.stringify({ message: 'hello', stream: true }),
  });
  const closed = closing.app.close();
  await delay(50);
  await expect(fetch(`${base}/healthz`)).rejects.toThrow();
  goOn.resolve();
  expect(await response.text()).toContain('event: answer');
  await closed;
  expect((await closing.usageRows()).at(-1)).toMatchObject({ outcome: 'ok', status: 200 });
  await closing.close();
});
