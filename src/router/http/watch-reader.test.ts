import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { watchReader } from '#router/http/watch-reader.ts';
import { createRouterFixture, seamRag, type TurnScript, threeWords } from '#test/support/router-fixture.ts';
import { askAndReadNothing, stallClient } from '#test/support/stalled-client.ts';

const STALL_MS = 400;
const megabyte = Buffer.alloc(1_000_000, 'x');

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function ask() {
  const stalled = await stallClient();
  closers.push(stalled.close);
  return stalled;
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

describe('every answer of the router', () => {
  /** Text without end, as fast as it is taken. */
  const endless: TurnScript = async function* (context, request, signal) {
    for await (const event of threeWords(context, request, signal)) {
      if (event.type === 'finished') break;
      yield event;
    }
    for (;;) {
      signal.throwIfAborted();
      yield { type: 'delta', text: 'flood '.repeat(500) };
    }
  };

  test.each([
    ['a stream', (_id: string) => ['POST', '/v1/chat', '{"message":"hi","stream":true}'] as const],
    ['a file', (id: string) => ['GET', `/v1/vault/documents/${id}/content`, ''] as const],
  ])('is given up where its reader takes nothing: %s', async (_what, callOf) => {
    const rag = seamRag();
    const sources: Readable[] = [];
    const fixture = await createRouterFixture({
      settings: { CLIENT_STALL_TIMEOUT_MS: 1_000 },
      rag: {
        ...rag,
        async readDocument(context, id, signal) {
          const { document } = await rag.readDocument(context, id, signal);
          const body = Readable.from(
            (function* () {
              for (;;) yield megabyte;
            })(),
          );
          sources.push(body);
          return { document: { ...document, byte_size: 10_000_000_000 }, body };
        },
      },
    });
    closers.push(() => fixture.close());
    fixture.script.turn = endless;
    const { authorization } = await fixture.keyOf('acme');
    const form = new FormData();
    form.append('file', new Blob(['text']), 'a.txt');
    const url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
    const uploaded = await fetch(`${url}/v1/vault/documents`, {
      method: 'POST',
      headers: { authorization },
      body: form,
    });
    const { document_id } = (await uploaded.json()) as { document_id: string };
    const [method, path, body] = callOf(document_id);
    const before = (await fixture.usageRows()).length;
    const type = body === '' ? '' : 'content-type: application/json\r\n';
    const head = `${method} ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n${type}`;
    const client = askAndReadNothing(
      Number(new URL(url).port),
      `${head}content-length: ${body.length}\r\n\r\n${body}`,
    );
    closers.unshift(async () => void client.destroy());
    const rows = async () => (await fixture.usageRows()).slice(before);
    if (method === 'GET') {
      await expect.poll(() => sources.map(({ destroyed }) => destroyed), { timeout: 30_000 }).toEqual([true]);
    } else {
      await expect
        .poll(async () => (await rows()).map((row) => row.status), { timeout: 30_000 })
        .toEqual([499]);
    }
  });
});
