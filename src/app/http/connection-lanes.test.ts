import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createConnectionLanes } from '#app/http/connection-lanes.ts';
import { createServiceConnection } from '#app/http/service-connection.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { testContext } from '../../../test/support/test-context.ts';

const never = new AbortController().signal;
const globex = testContext('globex', 'bob');
const acme = testContext('acme', 'alice');

let server: Server;
let origin: string;
/** Answers under `/stream` that are open: they send one piece and go on. */
let open: ServerResponse[];

beforeEach(async () => {
  open = [];
  server = createServer((request, response) => {
    if (request.url === '/refused') return void response.writeHead(404).end('{}');
    if (request.url !== '/stream') return void response.end('"ok"');
    open.push(response);
    response.write('one');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
});

const tokens = { tokenFor: async () => 'token' };
const connect = (options: { longCalls: number; shortCalls: number }) =>
  createServiceConnection({
    service: 'orchestrator',
    audience: 'orchestrator',
    baseUrl: origin,
    tokens,
    ...options,
  });
type Connection = ReturnType<typeof connect>;

const stream = (connection: Connection, context: TenantContext, signal = never) =>
  connection.send(context, { method: 'GET', path: '/stream', lane: 'long' }, signal);

test('streams of one tenant, however many, leave room for another’s, for short calls and for probes', async () => {
  const connection = connect({ longCalls: 10, shortCalls: 2 });
  const leaving = new AbortController();
  const flood = Array.from({ length: 100 }, () => stream(connection, globex, leaving.signal));
  for (const call of flood) call.catch(() => {});
  await expect.poll(() => open.length).toBe(8);
  expect(connection.stats.long).toMatchObject({ held: 8, waiting: 92 });

  const own = await stream(connection, acme);
  expect(own.statusCode).toBe(200);
  await connection.callWithoutAnswer(globex, { method: 'GET', path: '/conversations' }, never);
  await connection.callWithoutAnswer(null, { method: 'GET', path: '/readyz' }, never);

  leaving.abort(new Error('left'));
  await Promise.allSettled(flood);
  own.body.destroy();
  await expect.poll(() => connection.stats.long).toMatchObject({ held: 0, waiting: 0, tenants: 0 });
  await connection.close();
});

test('a place comes back however its call ends', async () => {
  const connection = connect({ longCalls: 1, shortCalls: 1 });
  const isFree = () => expect.poll(() => connection.stats.long.held).toBe(0);

  const read = await stream(connection, acme);
  open[0]?.end('two');
  expect(await read.body.text()).toBe('onetwo');
  await isFree();

  (await stream(connection, acme)).body.destroy();
  await isFree();

  const leaving = new AbortController();
  const left = await stream(connection, acme, leaving.signal);
  left.body.on('error', () => {});
  leaving.abort(new Error('left'));
  await isFree();

  const cut = await stream(connection, acme);
  open.at(-1)?.destroy();
  await expect(cut.body.text()).rejects.toThrow();
  await isFree();

  const refused = connection.send(acme, { method: 'GET', path: '/refused', lane: 'long' }, never);
  await expect(refused).rejects.toThrow();
  await isFree();
  await connection.close();

  const nowhere = createServiceConnection({
    service: 'orchestrator',
    audience: 'orchestrator',
    baseUrl: 'http://127.0.0.1:1',
    tokens,
    longCalls: 1,
  });
  await expect(stream(nowhere, acme)).rejects.toThrow();
  expect(nowhere.stats.long.held).toBe(0);
  await nowhere.close();
});

test('a request is made when its place is there, not while it waits', async () => {
  const lanes = createConnectionLanes({
    origin,
    service: 'orchestrator',
    longCalls: 1,
    shortCalls: 1,
    pool: {},
  });
  let made = 0;
  const ask = () =>
    lanes.request({ lane: 'short', context: acme }, never, async () => {
      made += 1;
      return { method: 'GET', path: '/stream' };
    });
  const first = await ask();
  const second = ask();
  await expect.poll(() => lanes.stats.short.waiting).toBe(1);
  expect(made).toBe(1);
  first.body.destroy();
  (await second).body.destroy();
  expect(made).toBe(2);
  await lanes.close();
});
