import pg from 'pg';
import type { Subscription } from '#app/database/database.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5_000;
/** A connection that lasted this long was a good one: the next wait is short again. */
const STEADY_AFTER_MS = 10_000;

/**
 * Listens on a connection of its own, and connects anew, ever more slowly, whenever it breaks. What is notified while it is
 * broken is lost: listeners look for themselves from time to time.
 */
export function listenToPostgres(options: {
  /** Asked for at each connection, where its login may change. */
  connectionString: string | (() => string);
  channel: string;
  onMessage: (payload: string) => void;
  onError: (error: Error) => void;
}): Subscription {
  const { connectionString, channel, onMessage, onError } = options;
  let closed = false;
  let attempts = 0;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function connect(): Promise<void> {
    const mine = withErrorListener(
      new pg.Client({
        connectionString: typeof connectionString === 'string' ? connectionString : connectionString(),
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        query_timeout: CONNECT_TIMEOUT_MS,
        keepAlive: true,
        application_name: 'bulkhead-listener',
      }),
    );
    client = mine;
    let over = false;
    const startedAt = performance.now();
    const end = (error?: Error) => {
      if (over) return;
      over = true;
      mine.end().catch(() => undefined);
      if (closed) return;
      if (error !== undefined) onError(error);
      attempts = performance.now() - startedAt > STEADY_AFTER_MS ? 0 : attempts + 1;
      const longest = Math.min(FIRST_WAIT_MS * 2 ** attempts, LONGEST_WAIT_MS);
      // Not all routers at once, when the server comes back.
      timer = setTimeout(() => void connect(), longest * (0.5 + Math.random() / 2));
      timer.unref();
    };
    mine.on('error', end);
    mine.on('end', () => end(new Error('The connection that listens has ended.')));
    mine.on('notification', ({ payload }) => onMessage(payload ?? ''));
    try {
      await mine.connect();
      await mine.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      end(error instanceof Error ? error : new Error(String(error)));
    }
  }
  void connect();

  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      await client?.end().catch(() => undefined);
    },
  };
}
