import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import Fastify from 'fastify';
import { afterEach, expect, test, vi } from 'vitest';
import { createDrain } from '#app/http/drain.ts';
import { type Served, serve } from '#app/http/serve.ts';

const opened: { served: Served; listeners: readonly NodeJS.SignalsListener[] }[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const { served, listeners } of opened.splice(0)) {
    await served.stop();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      for (const listener of process.listeners(signal)) {
        if (!listeners.includes(listener)) process.removeListener(signal, listener);
      }
    }
  }
});

/** A service with a slow answer, and one that streams; both go on when told. */
async function start(drainTimeoutMs = 30_000, drainDelayMs = 0) {
  const drain = createDrain();
  const listeners = [...process.listeners('SIGTERM'), ...process.listeners('SIGINT')];
  const app = Fastify({ return503OnClosing: false });
  const held = { slow: Promise.withResolvers<void>(), stream: Promise.withResolvers<void>() };
  const begun = { slow: Promise.withResolvers<void>(), stream: Promise.withResolvers<void>() };
  const stages: string[] = [];
  app.get('/', async () => 'quick');
  app.get('/slow', async () => {
    begun.slow.resolve();
    await held.slow.promise;
    return 'slow but whole';
  });
  app.get('/stream', async (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/plain' });
    reply.raw.write('first ');
    begun.stream.resolve();
    await held.stream.promise;
    reply.raw.end('last');
  });
  const served = await serve({
    app,
    host: '127.0.0.1',
    port: 0,
    drain,
    drainDelayMs,
    drainTimeoutMs,
    onDrain: () => stages.push('drain'),
    onClosed: async () => {
      stages.push('closed');
    },
    log: () => undefined,
  });
  opened.push({ served, listeners });
  return { served, drain, held, begun, stages, port: Number(new URL(served.url).port) };
}

/** A client that keeps its connection, and everything that it has read. */
async function client(port: number) {
  const socket: Socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  // A server that closes with bytes unread resets the connection.
  socket.on('error', () => undefined);
  return {
    ask: (path: string) => socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`),
    text: () => text,
    closed,
  };
}

test('a drain closes idle connections at once, and the others when their answers are out', async () => {
  const { served, held, begun, stages, port } = await start();
  const [idle, slow, streamed] = [await client(port), await client(port), await client(port)];
  idle.ask('/');
  await expect.poll(idle.text).toContain('quick');
  expect(idle.text()).toMatch(/connection: keep-alive/i);
  slow.ask('/slow');
  streamed.ask('/stream');
  await Promise.all([begun.slow.promise, begun.stream.promise]);

  let isStopped = false;
  const stopping = served.stop().then(() => {
    isStopped = true;
  });
  // While the others are still under way.
  await idle.closed;
  expect([stages, isStopped]).toEqual([['drain'], false]);
  await expect(client(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });

  held.slow.resolve();
  await slow.closed;
  expect(slow.text()).toMatch(/connection: close/i);
  expect(slow.text()).toContain('slow but whole');
  expect(isStopped).toBe(false);

  held.stream.resolve();
  await streamed.closed;
  expect(streamed.text()).toContain('last');
  await stopping;
  expect(stages).toEqual(['drain', 'closed']);
});

test('a request on a kept connection after the drain began gets an answer that closes it', async () => {
  const { served, held, begun, port } = await start();
  const pipelining = await client(port);
  pipelining.ask('/slow');
  await begun.slow.promise;
  const stopping = served.stop();
  // Sent before it could know.
  pipelining.ask('/');
  held.slow.resolve();
  await pipelining.closed;
  expect(pipelining.text()).toContain('slow but whole');
  await stopping;
});

test('during the delay it accepts and serves, and tells each connection to close with its next answer', async () => {
  const { served, drain, stages, port } = await start(30_000, 1_500);
  const [used, unused] = [await client(port), await client(port)];
  used.ask('/');
  unused.ask('/');
  await expect.poll(unused.text).toContain('quick');
  // For clients that heed it, so that none uses a connection at the moment when it is closed.
  expect(unused.text()).toMatch(/keep-alive: timeout=1\r\n/i);
  const stopping = served.stop();
  expect([drain.isDraining(), stages]).toEqual([true, ['drain']]);
  const late = await client(port);
  late.ask('/');
  await late.closed;
  expect(late.text()).toMatch(/^HTTP\/1\.1 200 .*connection: close/is);
  expect(late.text()).not.toMatch(/keep-alive/i);
  used.ask('/');
  await used.closed;
  expect(used.text().match(/quick/g)).toHaveLength(2);
  // The one on which nothing is asked is closed at the end of the delay.
  await unused.closed;
  await expect(client(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await stopping;
});

test('a connection that becomes idle after the delay still takes a request', async () => {
  const { served, held, begun, port } = await start(30_000, 1_000);
  const streamed = await client(port);
  streamed.ask('/stream');
  await begun.stream.promise;
  const stopping = served.stop();
  await expect(
    vi.waitUntil(
      () =>
        client(port).then(
          () => false,
          () => true,
        ),
      { timeout: 20_000, interval: 50 },
    ),
  ).resolves.toBe(true);
  held.stream.resolve();
  await expect.poll(streamed.text).toContain('last');
  streamed.ask('/');
  await streamed.closed;
  expect(streamed.text()).toContain('quick');
  expect(streamed.text()).toMatch(/connection: close/i);
  await stopping;
});

test('what is under way when the drain time is over can say its last words', async () => {
  const { served, drain, held, begun, port } = await start(100);
  const streamed = await client(port);
  streamed.ask('/stream');
  await begun.stream.promise;
  drain.onEnd(() => held.stream.resolve());
  await Promise.all([served.stop(), streamed.closed]);
  expect(streamed.text()).toContain('last');
});

test('a connection on which nothing was ever asked does not hold up the end', async () => {
  const { served, port } = await start();
  const silent = await client(port);
  await Promise.all([served.stop(), silent.closed]);
});

test('what outlives the drain time is cut', async () => {
  const { served, begun, stages, port } = await start(100);
  const streamed = await client(port);
  streamed.ask('/stream');
  await begun.stream.promise;
  await Promise.all([served.stop(), streamed.closed]);
  expect(streamed.text()).not.toContain('last');
  expect(stages).toEqual(['drain', 'closed']);
});

test('stopping twice is stopping once', async () => {
  const { served, stages } = await start();
  await Promise.all([served.stop(), served.stop()]);
  await served.stop();
  expect(stages).toEqual(['drain', 'closed']);
});

test('the first signal lets answers finish, the second ends the process as it is', async () => {
  const { held, begun, stages, port } = await start();
  const slow = await client(port);
  slow.ask('/slow');
  await begun.slow.promise;
  const ends = vi.spyOn(process, 'kill').mockReturnValue(true);
  const exits = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
  const onSignal = process.listeners('SIGTERM').at(-1);
  onSignal?.('SIGTERM');
  expect(ends).not.toHaveBeenCalled();
  onSignal?.('SIGTERM');
  expect(ends.mock.calls).toEqual([[process.pid, 'SIGKILL']]);

  held.slow.resolve();
  await slow.closed;
  expect(slow.text()).toContain('slow but whole');
  await expect.poll(() => exits.mock.calls).toEqual([[0]]);
  expect(stages).toEqual(['drain', 'closed']);
});
