import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sendRaw, statusesOf } from '#test/support/raw-http.ts';
import { createRouterFixture, endless, threeWords } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let url: string;
let alice: { authorization: string };

beforeAll(async () => {
  fixture = await createRouterFixture();
  url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  alice = await fixture.keyOf('acme');
});
afterAll(() => fixture.close());

/** A whole request, as a proxy or an attacker may write it. */
const requestOf = (line: string, headers: readonly string[], body = '') =>
  [
    `${line} HTTP/1.1`,
    `Authorization: ${alice.authorization}`,
    ...(body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]),
    ...headers,
    '',
    body,
  ].join('\r\n');

/** Words by which other servers, and frameworks, let a request be another one than it is. */
const DISGUISES = [
  ['Host: admin.internal'],
  ['Host: localhost:8080'],
  ['Host: 127.0.0.1'],
  ['Host: x', 'X-Forwarded-Host: localhost', 'Forwarded: for=127.0.0.1;host=localhost'],
  ['Host: x', 'X-Original-URL: /admin/tenants', 'X-Rewrite-URL: /admin/tenants'],
  ['Host: x', 'X-Forwarded-Prefix: /admin', 'X-Forwarded-For: 127.0.0.1', 'X-Real-IP: 127.0.0.1'],
  ['Host: x', 'X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: DELETE', 'X-Method-Override: DELETE'],
];

test.each(DISGUISES.map((headers) => [headers.join(', '), headers]))(
  'no header makes a member an admin, or a request another: %s',
  async (_what, headers) => {
    const ask = (line: string, body?: string) =>
      sendRaw(url, requestOf(line, [...headers, 'Connection: close'], body));
    for (const target of [
      '/admin/tenants',
      'http://localhost/admin/tenants',
      '/admin/tenants?x-tenant-id=acme',
    ])
      expect(statusesOf(await ask(`GET ${target}`)), target).toEqual([403]);
    const models = await ask('GET /v1/models');
    expect(statusesOf(models)).toEqual([200]);
    expect(models).toContain('bulkhead-rag');
    // A deletion would ask for the id of a conversation.
    expect(statusesOf(await ask('POST /v1/chat', '{"message":"hi"}'))).toEqual([200]);
    expect(statusesOf(await ask('POST /v1/conversations/conv_00000000000000000000000000', '{}'))).toEqual([
      405,
    ]);
  },
);

test('requests that wait behind another on their connection give their places back when it goes', async () => {
  await fixture.setConfig('acme', { rate_limits: { concurrent_requests: 3 } });
  fixture.script.turn = endless;
  const before = fixture.turns.length;
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const one = requestOf('POST /v1/chat', ['Host: x'], '{"message":"hi","stream":true}');
  socket.write(one.repeat(3));
  await expect.poll(() => fixture.turns.length - before).toBe(3);
  const ask = () =>
    fixture.app.inject({ method: 'POST', url: '/v1/chat', headers: alice, payload: { message: 'hi' } });
  fixture.script.turn = threeWords;
  const denied = await ask();
  expect(denied.json().error.refusal).toMatchObject({
    policy: 'rate_limits.concurrent_requests',
    current: 3,
  });
  socket.destroy();
  await expect.poll(async () => (await ask()).statusCode).toBe(200);
  // All of them, and each with its row.
  const rows = await fixture.usageRows();
  expect(rows.filter(({ outcome }) => outcome === 'aborted')).toHaveLength(3);
  await fixture.setConfig('acme', { rate_limits: { concurrent_requests: 1 } });
  expect((await ask()).statusCode).toBe(200);
});
