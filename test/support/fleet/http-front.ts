import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import type { Front } from './front.ts';
import { PolledBackends, type PollOptions } from './polled-backends.ts';

/** These are between two neighbours and are not passed on. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding']);

/**
 * As an application load balancer does it: each request goes to the next ready backend, over a connection that is kept or
 * over a new one. Nothing is tried twice: a failure before the answer's head is a 502, one after it cuts the answer.
 */
export async function startHttpFront(polls: PollOptions, upstream: 'keep-alive' | 'fresh'): Promise<Front> {
  const backends = new PolledBackends(polls);
  const agent = new Agent({ keepAlive: upstream === 'keep-alive' });
  const server = createServer({ keepAliveTimeout: 60_000 }, forward);

  function forward(incoming: IncomingMessage, response: ServerResponse): void {
    const backend = backends.next();
    if (backend === null) {
      refuse(response, 503, 'no backend is ready');
      return;
    }
    const outgoing = request(new URL(incoming.url ?? '/', backend), {
      method: incoming.method ?? 'GET',
      headers: passed(incoming),
      agent,
    });
    outgoing.once('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, passed(answer));
      response.flushHeaders();
      pipeline(answer, response, () => undefined);
    });
    outgoing.once('error', (error) => {
      if (response.headersSent) response.destroy();
      else refuse(response, 502, `${backend}: ${error.message}`);
    });
    response.once('close', () => {
      if (!response.writableFinished) outgoing.destroy();
    });
    incoming.pipe(outgoing);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    add: (backend) => backends.add(backend),
    remove: (backend) => backends.remove(backend),
    isReady: (backend) => backends.isReady(backend),
    async close() {
      await backends.close();
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const passed = ({ headers }: IncomingMessage) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { code: `front_${status}`, message } }));
}
