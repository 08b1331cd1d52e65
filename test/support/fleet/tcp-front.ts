import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../free-port.ts';
import type { Front } from './front.ts';
import { PolledBackends, type PollOptions } from './polled-backends.ts';

/**
 * As kube-proxy does it for a Service: each new connection goes to the next ready backend and stays with it, however ready
 * that is later. While no backend is ready, connections are refused.
 */
export async function startTcpFront(polls: PollOptions): Promise<Front> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let server: Server | null = null;
  let lastReady: string | null = null;
  const backends = new PolledBackends(polls, () => {
    const [ready] = backends.ready();
    const isReady = ready !== undefined;
    lastReady = ready ?? lastReady;
    if (isReady && server === null) server = listen();
    if (!isReady && server !== null) {
      const closing = server;
      server = null;
      // Closing resets connections that wait to be accepted: those that came before are accepted first.
      setImmediate(() => setImmediate(() => closing.close()));
    }
  });

  function listen(): Server {
    const listening = createServer({ allowHalfOpen: true, noDelay: true }, forward);
    // A port that was let go of a moment ago.
    listening.once('error', () => setTimeout(() => listening.listen(port, '127.0.0.1'), 20));
    return listening.listen(port, '127.0.0.1');
  }

  function forward(client: Socket): void {
    const backend = backends.next() ?? lastReady;
    if (backend === null) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({
      port: Number(new URL(backend).port),
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.once('error', () => other.resetAndDestroy());
      socket.once('close', () => sockets.delete(socket));
    }
  }

  return {
    url: `http://127.0.0.1:${port}`,
    add: (backend) => backends.add(backend),
    remove: (backend) => backends.remove(backend),
    isReady: (backend) => backends.isReady(backend),
    async close() {
      await backends.close();
      server?.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
