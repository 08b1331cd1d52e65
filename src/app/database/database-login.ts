import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** The URL of a database whose login may change while the process runs. */
export type DatabaseLogin = Readonly<{
  /** With user and password as of now. */
  current(): string;
  /** Looks for a newer login after the server refused the present one; never rejects. Absent: there can be none. */
  refresh?: () => Promise<unknown>;
}>;

/** A login that never changes. */
export const fixedLogin = (connectionString: string): DatabaseLogin => ({ current: () => connectionString });

/**
 * Clients for pools that take the login as of each connection, whatever URL the pool was made with. A user that changes, as
 * in rotation with two alternating users, is taken over as well.
 */
export function clientsWithLogin(login: DatabaseLogin): {
  Client: new () => pg.Client;
  /** Whether the client has an earlier login: it is closed when its transaction has ended. */
  isOutdated: (client: pg.ClientBase) => boolean;
} {
  const urls = new WeakMap<object, string>();
  class Client extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      const connectionString = login.current();
      super({ ...config, connectionString });
      urls.set(this, connectionString);
    }
  }
  return { Client, isOutdated: (client) => urls.get(client) !== login.current() };
}

/** How long a new connection is tried while the server refuses its login, milliseconds. */
const LONGEST_MS = 15_000;
const PAUSE_MS = 500;

/**
 * Connects; where the server refuses the login, looks for a newer one and tries again. A rotation sets the password in the
 * database a moment before the secret has it, so a refusal is not final at once.
 */
export async function connectWithLogin<Connected>(
  connect: () => Promise<Connected>,
  login: DatabaseLogin,
  monotonicNow: () => number = () => performance.now(),
): Promise<Connected> {
  const from = monotonicNow();
  for (;;) {
    const tried = login.current();
    try {
      return await connect();
    } catch (error) {
      if (!isLoginRefused(error) || login.refresh === undefined) throw error;
      await login.refresh();
      if (login.current() !== tried) continue;
      if (monotonicNow() - from > LONGEST_MS) throw error;
      await delay(PAUSE_MS);
    }
  }
}

/** `invalid_password` and `invalid_authorization_specification`: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const isLoginRefused = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && (error.code === '28P01' || error.code === '28000');
