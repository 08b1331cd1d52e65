import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { sendRaw, statusesOf } from '#test/support/raw-http.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let url: string;
let alice: Record<string, string>;
let eve: Record<string, string>;

beforeAll(async () => {
  fixture = await createRouterFixture();
  url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  alice = await fixture.keyOf('acme', 'alice');
  eve = await fixture.keyOf('globex', 'eve');
  await fixture.setConfig('acme', { rate_limits: { requests_per_minute: null } });
});
afterAll(() => fixture.close());

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

const headOf = (path: string, headers: Record<string, string>) =>
  [
    `POST ${path} HTTP/1.1`,
    'host: bulkhead',
    'content-type: application/json',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ].join('\r\n');

/** Begins a request whose body never ends. */
async function begin(headers: Record<string, string>): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  open.push(socket);
  await once(socket, 'connect');
  socket.write(`${headOf('/v1/chat', { ...headers, 'transfer-encoding': 'chunked' })}1\r\n{\r\n`);
  return socket;
}

const ask = async (headers: Record<string, string>) => {
  const response = await fetch(`${url}/v1/chat`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ message: 'hello' }),
  });
  return {
    status: response.status,
    body: await response.json(),
    retryAfter: response.headers.get('retry-after'),
  };
};

describe('bodies that do not end', () => {
  test('are few megabytes for a tenant, and none of another’s', async () => {
    // Each counts as much as a body may hold: a mebibyte, in the tests.
    for (let nth = 0; nth < 64; nth++) await begin(alice);
    await expect.poll(async () => (await ask(alice)).status, { timeout: 10_000 }).toBe(429);
    expect(await ask(alice)).toMatchObject({
      body: {
        error: { code: 'rate_limit_exceeded', refusal: { policy: 'pending_bodies', limit: 67_108_864 } },
      },
      retryAfter: '1',
    });
    expect((await ask(eve)).status).toBe(200);
    // What has no body is not held up.
    expect((await fetch(`${url}/v1/usage`, { headers: alice })).status).toBe(200);
    for (const socket of open.splice(0)) socket.destroy();
    await expect.poll(async () => (await ask(alice)).status, { timeout: 10_000 }).toBe(200);
  });

  test('that were read count no more', async () => {
    const messages = [{ role: 'user', content: 'hello' }];
    const body = JSON.stringify({ model: 'bulkhead-chat', messages, unknown: 'x'.repeat(700_000) });
    const headers = { ...alice, 'content-type': 'application/json' };
    for (let nth = 0; nth < 100; nth++) {
      const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body });
      expect(answer.status).toBe(200);
      await answer.text();
    }
  });
});

describe('a body that nobody has shown a credential for', () => {
  test('is not read on paths that do not exist', async () => {
    const request = `${headOf('/nowhere', { 'content-length': '1000000' })}{`;
    // Answered at once, while the body is on its way.
    expect(statusesOf(await sendRaw(url, request, 1_000))).toEqual([404]);
    expect(statusesOf(await sendRaw(url, `${headOf('/v1/x', { 'content-length': '1' })}{`))).toEqual([404]);
  });

  test('may be short where an invitation is accepted', async () => {
    const request = headOf('/admin/tenants/acme/members/accept', { 'content-length': '5000' });
    expect(statusesOf(await sendRaw(url, `${request}{`, 1_000))).toEqual([413]);
  });
});
