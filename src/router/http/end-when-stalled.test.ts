import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { endWhenStalled } from '#router/http/end-when-stalled.ts';
import { openSse } from '#router/http/sse-writer.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';
import { stallClient } from '#test/support/stalled-client.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function stall() {
  const stalled = await stallClient();
  closers.push(stalled.close);
  return stalled;
}

const megabyte = 'x'.repeat(1_000_000);

describe('a client that does not read', () => {
  test('is cut off from a stream, whose writer is told', async () => {
    const { response } = await stall();
    const left = new AbortController();
    response.once('close', () => left.abort());
    const sse = openSse({ response, headers: {}, signal: left.signal, stallMs: 200 });
    const writing = (async () => {
      for (;;) await sse.write(megabyte);
    })();
    await expect(writing).rejects.toThrow(/abort/);
    expect(response.destroyed).toBe(true);
  });

  test('is cut off from an answer that was made at once', async () => {
    const { response } = await stall();
    endWhenStalled(response, 200);
    response.end(megabyte.repeat(50));
    await once(response, 'close');
    expect(response.writableFinished).toBe(false);
  });

  test('is waited for as long as it takes something now and then', async () => {
    const { client, response } = await stall();
    endWhenStalled(response, 1_000);
    response.end(megabyte.repeat(20));
    let received = 0;
    for (let chunk: Buffer | null; received < 20_000_000; ) {
      chunk = client.read();
      if (chunk === null) await once(client, 'readable');
      else received += chunk.length;
    }
    expect(response.writableFinished).toBe(true);
  });
});

test('every answer of the router is sent so, and what is asked next on the connection has its own time', async () => {
  const fixture = await createRouterFixture();
  const sockets: Socket[] = [];
  fixture.app.server.on('connection', (socket) => sockets.push(socket));
  const timeouts: (number | undefined)[] = [];
  const url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  closers.push(() => fixture.close());
  const alice = await fixture.keyOf('acme', 'alice');
  fixture.app.server.on('request', (_request, response) => {
    // Before Node’s own listener, which begins the time between two requests.
    response.prependOnceListener('finish', () => timeouts.push(response.socket?.timeout));
  });
  for (const payload of [{ message: 'hello' }, { message: 'hello', stream: true }]) {
    const headers = { ...alice, 'content-type': 'application/json' };
    const answer = await fetch(`${url}/v1/chat`, { method: 'POST', headers, body: JSON.stringify(payload) });
    await answer.text();
  }
  expect(timeouts).toEqual([60_000, 60_000]);
  expect(sockets.map(({ timeout }) => timeout)).not.toContain(60_000);
});
