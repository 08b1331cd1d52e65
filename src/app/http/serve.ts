import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { FastifyInstance } from 'fastify';
import { endAtOnce } from '#app/end-at-once.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { Drain } from '#app/http/drain.ts';
import { drainConnections } from '#app/http/drain-connections.ts';

export type ServeOptions = {
  app: FastifyInstance;
  host: string;
  port: number;
  /** The one that the app was built with. */
  drain: Drain;
  /** So long a stopping process serves as before, but for its readiness and `Connection: close`, milliseconds. */
  drainDelayMs: number;
  /** So long it waits after that for what is under way, milliseconds. */
  drainTimeoutMs: number;
  /** Called when stopping begins. */
  onDrain?(): void;
  /** Called once when the app has closed: jobs, pools and files go here. */
  onClosed?(): Promise<void>;
  log(message: string): void;
};

export type Served = {
  url: string;
  /** Drains, then closes. Safe to call twice. */
  stop(): Promise<void>;
};

/** What is ended when the drain time is over has so long to say so, milliseconds. */
const LAST_WORDS_MS = 2_000;

/**
 * Listens, and stops on SIGTERM or SIGINT; a second signal exits at once. Stopping takes three steps: for `drainDelayMs` the
 * process is not ready and serves, so that balancers and clients move away; then it accepts no connection, and waits
 * `drainTimeoutMs` for requests under way; then each of them is ended with an error of its own.
 */
export async function serve(options: ServeOptions): Promise<Served> {
  const { app, drain, drainDelayMs, drainTimeoutMs } = options;
  collectYoungInOneThread();
  const connections = drainConnections(app.server, drainDelayMs);
  // Accepting may fail later: with no file descriptors left, say.
  withErrorListener(app.server, (error) => options.log(`accepting a connection failed: ${error.message}`));
  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const host = options.host === '0.0.0.0' || options.host === '::' ? '127.0.0.1' : options.host;

  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= (async () => {
      drain.begin();
      options.onDrain?.();
      connections.announceClose();
      if (drainDelayMs > 0) await delay(drainDelayMs);
      connections.stopAccepting();
      let cut: NodeJS.Timeout | undefined;
      const end = setTimeout(() => {
        drain.end();
        cut = setTimeout(() => app.server.closeAllConnections(), LAST_WORDS_MS);
      }, drainTimeoutMs);
      try {
        await app.close();
      } finally {
        clearTimeout(end);
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
