import { getEventListeners, once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { GenerateRequest } from '#inference/inference-engine.ts';
import { VLLMClient, type VLLMClientOptions } from '#inference/vllm-client.ts';
import { itemsOf } from '#test/support/batches.ts';
import { streamOf } from '#test/support/engine-server.ts';
import { testContext } from '#test/support/test-context.ts';

/** An engine that speaks bytes: what no HTTP server would send can be sent. */
async function startRawEngine(answer: (socket: Socket) => unknown) {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    // Its end of the connection may be gone at any moment.
    Promise.resolve(answer(socket)).catch(() => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The engine has no port.');
  return {
    baseUrl: `http://127.0.0.1:${address.port}/v1`,
    open: () => sockets.size,
    connections: () => connections,
    /** Has those that read nothing see that the other end is gone. */
    wake() {
      for (const socket of sockets) socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function setUp(answer: (socket: Socket) => unknown, options: Partial<VLLMClientOptions> = {}) {
  const engine = await startRawEngine(answer);
  const client = new VLLMClient({
    baseUrl: engine.baseUrl,
    defaultModel: 'served',
    cacheSaltSecret: null,
    maxAttempts: 1,
    ...options,
  });
  opened.push(client, engine);
  return { engine, client };
}

const acme = testContext('acme');
const question = (content = 'Hello?'): GenerateRequest => ({
  model: 'served',
  messages: [{ role: 'user', content }],
  sampling: {},
  engineParameters: {},
  sources: null,
});

/** What came, and how it ended. Nothing may be left on the caller's signal, however that was. */
async function readAll(client: VLLMClient, content?: string) {
  const { signal } = new AbortController();
  const chunks: ChatCompletionChunk[] = [];
  let failure: unknown = null;
  try {
    for await (const chunk of itemsOf(client.generate(acme, question(content), signal))) chunks.push(chunk);
  } catch (error) {
    failure = error;
  }
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  const text = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? '')).join('');
  return { chunks, text, failure };
}

const asked = (socket: Socket) => once(socket, 'data');
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n';
/** Without a length: the answer lasts as long as the connection. */
const OPEN = `${HEAD}connection: close\r\n\r\n`;
const chunked = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const event = (content: string, index = 0) =>
  `data: ${JSON.stringify({ choices: [{ index, delta: { content }, finish_reason: null }] })}\n\n`;
const LOST = 'data: {"error":{"message":"gone","type":"overloaded_error","code":503}}\n\n';
const WHOLE = streamOf(['Hello', ' world']);

describe('an engine that breaks the protocol', () => {
  it.each<[string, string | Buffer, string]>([
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.9\r\n', 'engine_unavailable'],
    [
      'an upgrade that nobody asked for',
      'HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      'engine_unavailable',
    ],
    [
      'a header that is too long',
      `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`,
      'engine_unavailable',
    ],
    ['nothing', 'HTTP/1.1 204 No Content\r\n\r\n', 'engine_error'],
    [
      'a way elsewhere',
      'HTTP/1.1 307 Temporary\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n',
      'engine_error',
    ],
    ['two lengths', `${HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`, 'engine_unavailable'],
    ['a page', 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nno', 'engine_error'],
    [
      'compressed events',
      Buffer.concat([Buffer.from(`${HEAD}content-encoding: gzip\r\n\r\n`), gzipSync(WHOLE)]),
      'engine_error',
    ],
    ['an end alone', `${OPEN}data: [DONE]\n\n`, 'engine_error'],
    ['null', `${OPEN}data: null\n\n`, 'engine_error'],
    ['a list', `${OPEN}data: []\n\n`, 'engine_error'],
    ['choices that are none', `${OPEN}data: {"choices":[1,"x",null]}\n\n`, 'engine_error'],
    [
      'a choice at no place',
      `${OPEN}data: {"choices":[{"index":-1,"delta":{"content":"x"}}]}\n\n`,
      'engine_error',
    ],
    ['a chunk of no length', `${HEAD}transfer-encoding: chunked\r\n\r\nZZ\r\n`, 'engine_error'],
  ])('that sends %s is told apart', async (_name, bytes, code) => {
    const { client, engine } = await setUp(async (socket) => {
      await asked(socket);
      socket.end(bytes);
    });
    expect((await readAll(client)).failure).toMatchObject({ code });
    await expect.poll(engine.open).toBe(0);
  });

  it('that says a thousand times that it goes on is waited for', async () => {
    const { client } = await setUp(async (socket) => {
      await asked(socket);
      socket.end(`${'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(1_000)}${OPEN}${WHOLE}`);
    });
    expect(await readAll(client)).toMatchObject({ text: 'Hello world', failure: null });
  });

  it('that sends byte by byte, and bytes that are no characters, is read', async () => {
    const { client } = await setUp(async (socket) => {
      await asked(socket);
      socket.setNoDelay(true);
      socket.write(OPEN);
      const stream = streamOf(['wörld']);
      const bytes = Buffer.concat([
        Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"\ud800'),
        Buffer.from([0xff, 0xc3]),
        Buffer.from(`"}}]}\n\n${stream}`),
      ]);
      for (const byte of bytes) {
        socket.write(Buffer.from([byte]));
        await delay(0);
      }
      socket.end();
    });
    const { text, failure } = await readAll(client);
    expect(failure).toBeNull();
    expect(text).toMatch(/^\ufffd+wörld$/);
  });

  it('that says more after its end is not listened to', async () => {
    const { client, engine } = await setUp(async (socket) => {
      await asked(socket);
      socket.write(`${OPEN}${WHOLE}${event('more')}${LOST}`);
      while (!socket.destroyed) {
        if (!socket.write('data: {"choices":[]}\n\n'.repeat(1_000)))
          await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
        await delay(1);
      }
    });
    const { text, failure, chunks } = await readAll(client);
    expect({ text, failure }).toEqual({ text: 'Hello world', failure: null });
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 2 });
    // Nor is it let go on for ever.
    await expect.poll(engine.open).toBe(0);
  });

  it('that fails and stays on the line is not waited for', async () => {
    const { client, engine } = await setUp(
      async (socket) => {
        await asked(socket);
        socket.write(`${HEAD}transfer-encoding: chunked\r\n\r\n${chunked(event('Hello') + LOST)}`);
      },
      { idleTimeoutMs: 600_000 },
    );
    expect(await readAll(client)).toMatchObject({ text: 'Hello', failure: { code: 'engine_overloaded' } });
    await expect.poll(engine.open).toBe(0);
  });

  it('that answers with more choices than were asked for is stopped', async () => {
    const { client, engine } = await setUp(async (socket) => {
      await asked(socket);
      socket.write(OPEN);
      for (let index = 0; index < 100_000 && !socket.destroyed; index++) {
        if (!socket.write(event('x', index)))
          await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
      }
    });
    const { failure, chunks } = await readAll(client);
    expect(failure).toMatchObject({ code: 'engine_error' });
    expect(chunks.length).toBeLessThan(1_000);
    await expect.poll(engine.open).toBe(0);
  });

  it('that asks to come back at the end of time says no time', async () => {
    for (const wait of [
      'retry-after: 1e308',
      'retry-after-ms: 1e300',
      'retry-after: Fri, 31 Dec 9999 23:59:59 GMT',
    ]) {
      const { client } = await setUp(async (socket) => {
        await asked(socket);
        socket.end(`HTTP/1.1 429 No\r\n${wait}\r\ncontent-length: 0\r\n\r\n`);
      });
      const { failure } = await readAll(client);
      expect(failure).toMatchObject({ code: 'engine_overloaded' });
      expect(failure).toHaveProperty('retryAfterMs', 86_400_000);
    }
  });
});

describe('a connection that is reset', () => {
  it.each<[string, string, string, string]>([
    ['before the answer', '', '', 'engine_unavailable'],
    ['within the head', 'HTTP/1.1 200 OK\r\nconte', '', 'engine_unavailable'],
    ['after the head', OPEN, '', 'engine_error'],
    ['within the first event', `${OPEN}data: {"choi`, '', 'engine_error'],
    ['after an event', `${OPEN}${event('Hello')}`, 'Hello', 'engine_error'],
    [
      'within a character',
      `${OPEN}${event('Hello')}data: {"choices":[{"delta":{"content":"\u00e4`.slice(0, -1),
      'Hello',
      'engine_error',
    ],
    [
      'after the finish, before the end',
      `${OPEN}${WHOLE.slice(0, WHOLE.indexOf('"finish_reason":"stop"') - 10)}`,
      'Hello world',
      'engine_error',
    ],
  ])('%s gives out what came, and an error', async (_name, bytes, text, code) => {
    const { client, engine } = await setUp(async (socket) => {
      await asked(socket);
      if (bytes === '') socket.resetAndDestroy();
      else {
        socket.write(bytes);
        await delay(50);
        socket.resetAndDestroy();
      }
    });
    expect(await readAll(client)).toMatchObject({ text, failure: { code } });
    await expect.poll(engine.open).toBe(0);
  });

  it('while the reader is slow, too', async () => {
    const big = 'x'.repeat(1_000);
    const { client } = await setUp(async (socket) => {
      await asked(socket);
      socket.write(OPEN);
      for (let sent = 0; sent < 2_000; sent++) socket.write(event(big));
      await delay(300);
      socket.resetAndDestroy();
    });
    const read: string[] = [];
    const reading = async () => {
      for await (const { choices } of itemsOf(
        client.generate(acme, question(), new AbortController().signal),
      )) {
        if (read.length === 0) await delay(600);
        read.push(choices[0]?.delta.content ?? '');
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'engine_error' });
    expect(read.length).toBeGreaterThan(0);
    expect(read.every((text) => text === big)).toBe(true);
  });
});

describe('a question that the engine does not read', () => {
  const long = 'x'.repeat(8_000_000);

  it('is given up in time', async () => {
    const { client, engine } = await setUp((socket) => socket.pause(), { firstTokenTimeoutMs: 500 });
    expect((await readAll(client, long)).failure).toMatchObject({ code: 'engine_timeout' });
    engine.wake();
    await expect.poll(engine.open).toBe(0);
  });

  it('and answers all the same, is answered so', async () => {
    const { client } = await setUp((socket) => {
      socket.pause();
      socket.write(`${OPEN}${WHOLE}`);
    });
    const { text, failure } = await readAll(client, long);
    // Whoever answers before it has read may be believed or not, but is not waited for.
    expect(failure === null ? text : failure).toSatisfy(
      (result) => result === 'Hello world' || (result instanceof Error && 'code' in result),
    );
  });

  it('and refuses, is refused', async () => {
    const { client } = await setUp(async (socket) => {
      await asked(socket);
      socket.pause();
      socket.write('HTTP/1.1 413 Too large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    });
    expect((await readAll(client, long)).failure).toMatchObject({ code: 'engine_rejected' });
  });
});

describe('a caller who leaves', () => {
  const MOMENTS: readonly [string, string][] = [
    ['before the head', ''],
    ['within the head', 'HTTP/1.1 200 OK\r\nconte'],
    ['after the head', OPEN],
    ['within an event', `${OPEN}data: {"choi`],
    ['after an event', `${OPEN}${event('Hello')}`],
    ['after an event and a half', `${OPEN}${event('Hello')}data: {"cho`],
    ['after the finish', `${OPEN}${WHOLE.slice(0, -'data: [DONE]\n\n'.length)}`],
  ];

  it.each(MOMENTS)('by abort %s closes the connection at once', async (_name, bytes) => {
    let isAsked = false;
    const { client, engine } = await setUp(async (socket) => {
      await asked(socket);
      if (bytes !== '') socket.write(bytes);
      isAsked = true;
    });
    const controller = new AbortController();
    const read: ChatCompletionChunk[] = [];
    const reading = (async () => {
      for await (const chunk of itemsOf(client.generate(acme, question(), controller.signal)))
        read.push(chunk);
    })();
    await expect.poll(() => isAsked).toBe(true);
    await delay(50);
    const reason = new Error('left');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect.poll(engine.open).toBe(0);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('with many others while the engine has no room leaves nothing behind', async () => {
    // One tenant alone gets two of three.
    const { client, engine } = await setUp((socket) => socket.pause(), { connections: 3 });
    const controller = new AbortController();
    const all = Array.from({ length: 50 }, async () => {
      for await (const _ of client.generate(acme, question(), controller.signal))
        throw new Error('An answer.');
    });
    await expect.poll(engine.connections).toBe(2);
    controller.abort(new Error('left'));
    const results = await Promise.allSettled(all);
    expect(
      new Set(results.map((result) => (result.status === 'rejected' ? String(result.reason) : ''))),
    ).toEqual(new Set(['Error: left']));
    engine.wake();
    await expect.poll(engine.open).toBe(0);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });
});
