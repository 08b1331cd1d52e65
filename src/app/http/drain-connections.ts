import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

/** A connection without a request is closed so long after the server stops accepting, milliseconds. */
const SILENT_MS = 1_000;

/**
 * Ends connections that clients keep, without cutting off a request that is on its way. While the server drains, each answer
 * says `Connection: close`. A connection on which nothing is asked is closed when it was idle for `idleMs`; before that, by
 * `Keep-Alive: timeout`, which every answer carries, clients that heed it (Node.js, undici) have given it up themselves.
 */
export function drainConnections(server: Server, idleMs: number) {
  const answering = new Set<ServerResponse>();
  /** Connections between two requests, with the time of their last answer; those without any request yet have null. */
  const idle = new Map<Socket, number | null>();
  const hint = Math.floor(idleMs / 1_000);
  let state: 'serving' | 'draining' | 'closed' = 'serving';

  function sayClose(response: ServerResponse): void {
    if (response.headersSent) return;
    response.removeHeader('keep-alive');
    response.setHeader('connection', 'close');
  }

  function closeWhenIdle(socket: Socket, since: number | null): void {
    const restMs = since === null ? SILENT_MS : since + idleMs - performance.now();
    const close = () => {
      // Bytes that have come are a request that is not parsed yet.
      const isUnused = since !== null || socket.bytesRead === 0;
      if (idle.has(socket) && idle.get(socket) === since && isUnused) socket.destroy();
    };
    if (restMs > 0) setTimeout(close, restMs).unref();
    else setImmediate(close);
  }

  server.on('connection', (socket: Socket) => {
    idle.set(socket, null);
    socket.once('close', () => idle.delete(socket));
    if (state === 'closed') closeWhenIdle(socket, null);
  });
  server.prependListener('request', ({ socket }, response) => {
    idle.delete(socket);
    answering.add(withErrorListener(response));
    response.once('close', () => {
      answering.delete(response);
      if (socket.destroyed) return;
      const now = performance.now();
      idle.set(socket, now);
      if (state === 'closed') closeWhenIdle(socket, now);
    });
    if (state !== 'serving') sayClose(response);
    else if (hint > 0) response.setHeader('keep-alive', `timeout=${hint}`);
  });

  return {
    announceClose(): void {
      state = 'draining';
      for (const response of answering) sayClose(response);
    },
    stopAccepting(): void {
      state = 'closed';
      // Not `server.close()`: that of HTTP closes every idle connection, whatever is on its way on it.
      const closed = new Promise<void>((resolve) => {
        NetServer.prototype.close.call(server, () => resolve());
      });
      server.close = (done) => {
        void closed.then(() => done?.());
        return server;
      };
      for (const [socket, since] of idle) closeWhenIdle(socket, since);
    },
  };
}
