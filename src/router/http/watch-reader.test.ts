import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { watchReader } from '#router/http/watch-reader.ts';

const STALL_MS = 400;
const megabyte = Buffer.alloc(1_000_000, 'x');

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A client that reads nothing unless it is told to, and the server's side of its request. */
async function ask(): Promise<{ client: Socket; response: ServerResponse }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  const client = connect(address.port, '127.0.0.1');
  client.on('error', () => {});
  client.pause();
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  closers.push(async () => {
    client.destroy();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  return { client, response };
}

function watch(response: ServerResponse): void {
  const watched = watchReader(response, STALL_MS);
  response.once('close', () => watched.stop());
}

async function cutAfter(response: ServerResponse): Promise<number> {
  const startedAt = performance.now();
  await once(response, 'close');
  return performance.now() - startedAt;
}

describe('a client that reads nothing', () => {
  test('of one large answer is cut off within its time, not twice that', async () => {
    const { response } = await ask();
    watch(response);
    response.end(Buffer.concat(Array(50).fill(megabyte)));
    const took = await cutAfter(response);
    expect(took).toBeGreaterThanOrEqual(STALL_MS * 0.9);
    expect(response.writableFinished).toBe(false);
  });

  test('of a stream is cut off, also where the stream writes on without waiting', async () => {
    const { response } = await ask();
    watch(response);
    const writing = setInterval(() => response.write(megabyte), 20);
    await cutAfter(response);
    clearInterval(writing);
    expect(response.destroyed).toBe(true);
  });

  test('having read a little is cut off as well', async () => {
    const { client, response } = await ask();
    watch(response);
    response.end(Buffer.concat(Array(50).fill(megabyte)));
    await delay(STALL_MS / 2);
    await once(client, 'readable');
    client.read(10);
    await cutAfter(response);
    expect(response.writableFinished).toBe(false);
  });
});

describe('a client is kept', () => {
  test('that takes something now and then', async () => {
    const { client, response } = await ask();
    const watched = watchReader(response, 4_000);
    response.end(Buffer.concat(Array(20).fill(megabyte)));
    let received = 0;
    while (received < 20_000_000) {
      const chunk: Buffer | null = client.read();
      if (chunk === null) await once(client, 'readable');
      else {
        received += chunk.length;
        await delay(5);
      }
    }
    watched.stop();
    expect(response.writableFinished).toBe(true);
  });

  test('while the source of its answer is slow', async () => {
    const { client, response } = await ask();
    watch(response);
    client.resume();
    response.write('first');
    await delay(STALL_MS * 2);
    expect(response.destroyed).toBe(false);
    response.end('last');
    await once(response, 'finish');
  });
});
