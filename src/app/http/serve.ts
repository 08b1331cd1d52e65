import type { Server, ServerResponse } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import type { FastifyInstance } from 'fastify';
import { endAtOnce } from '#app/end-at-once.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

export type ServeOptions = {
  app: FastifyInstance;
  host: string;
  port: number;
  drainTimeoutMs: number;
  /** Called when stopping begins: readiness turns false while requests under way finish. */
  onDrain?(): void;
  /** Called once when the app has closed: jobs, pools and files go here. */
  onClosed?(): Promise<void>;
  log(message: string): void;
};

export type Served = {
  url: string;
  /** Stops accepting, waits for what is under way up to the drain time, then closes. Safe to call twice. */
  stop(): Promise<void>;
};

/** Listens, and stops on SIGTERM or SIGINT. A second signal exits at once. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { app } = options;
  collectYoungInOneThread();
  const connections = watchConnections(app.server);
  // Accepting may fail later: with no file descriptors left, say.
  withErrorListener(app.server, (error) => options.log(`accepting a connection failed: ${error.message}`));
  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const host = options.host === '0.0.0.0' || options.host === '::' ? '127.0.0.1' : options.host;

  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= (async () => {
      options.onDrain?.();
      connections.drain();
      // A stream that outlives the drain time is cut: the process must end before it is killed.
      const cut = setTimeout(() => app.server.closeAllConnections(), options.drainTimeoutMs);
      try {
        await app.close();
      } finally {
        clearTimeout(cut);
        await options.onClosed?.();
      }
    })();
    return stopping;
  };

  let signalled = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (signalled) return endAtOnce();
    signalled = true;
    options.log(`${signal}: finishing what is under way; once more to stop at once`);
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        options.log(`stopping failed: ${error instanceof Error ? error.message : String(error)}`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, stop };
}

/**
 * Requests leave much garbage and little alive. Helper threads of the collector are started for each of its many short
 * pauses, and on a few cores they take more time than they save: an eighth of all CPU time of a router under load, and
 * more of its longest waits.
 */
function collectYoungInOneThread(): void {
  setFlagsFromString('--no-parallel-scavenge');
}

/**
 * Connections that are kept alive would keep a draining server open until the drain time is over. Idle ones are closed;
 * one with an answer under way is closed after it, and where its head is not out yet, the client is told.
 */
function watchConnections(server: Server): { drain(): void } {
  const answering = new Set<ServerResponse>();
  let isDraining = false;

  function closeAfter(response: ServerResponse): void {
    if (!response.headersSent) response.setHeader('connection', 'close');
    // It is idle a moment after its answer.
    response.once('close', () => setImmediate(() => server.closeIdleConnections()));
  }

  server.prependListener('request', (_request, response) => {
    answering.add(withErrorListener(response));
    response.once('close', () => answering.delete(response));
    if (isDraining) closeAfter(response);
  });
  return {
    drain() {
      isDraining = true;
      server.closeIdleConnections();
      for (const response of answering) closeAfter(response);
    },
  };
}
