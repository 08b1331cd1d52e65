import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createRestartWait } from '#app/http/wait-for-restart.ts';
import { freePort } from '#test/support/free-port.ts';

const never = new AbortController().signal;

async function away() {
  const port = await freePort();
  let tries = 0;
  const call = async () => {
    tries += 1;
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve();
      });
      socket.once('error', reject);
    });
    return 'answered';
  };
  return { port, call, tries: () => tries };
}

test('a call waits for a service that restarts', async () => {
  const { port, call, tries } = await away();
  const answer = createRestartWait()(call, never);
  await delay(200);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  expect(await answer).toBe('answered');
  expect(tries()).toBeGreaterThan(1);
  await new Promise((resolve) => server.close(resolve));
});

test('once it was away for the whole time, calls fail at once', async () => {
  const { call, tries } = await away();
  const wait = createRestartWait({ maxMs: 100 });
  await expect(wait(call, never)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await delay(100);
  const before = tries();
  await expect(wait(call, never)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(tries()).toBe(before + 1);
});

test('nothing but a refused connection is repeated, and an abort ends the wait', async () => {
  let tries = 0;
  const reset = async () => {
    tries += 1;
    throw Object.assign(new Error('reset'), { code: 'ECONNRESET' });
  };
  await expect(createRestartWait()(reset, never)).rejects.toThrow('reset');
  expect(tries).toBe(1);
  const { call } = await away();
  await expect(createRestartWait()(call, AbortSignal.timeout(60))).rejects.toMatchObject({
    name: 'AbortError',
  });
});
