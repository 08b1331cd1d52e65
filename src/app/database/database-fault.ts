import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { environmentFault } from '#app/faults/environment-fault.ts';

const RETRY_AFTER_MS = 1_000;

/** What `pg` says of a lost connection without any code. */
const LOST = [
  /^Connection terminated/,
  /^Query read timeout$/,
  /^Client has encountered a connection error/,
  /^Client was closed/,
];
/** All connections of the pool are in use, and were for the whole of `connectionTimeoutMillis`. */
const POOL_BUSY = 'timeout exceeded when trying to connect';
/** SQLSTATE after which the server closes the connection: class 08, a shutdown or crash (57P01-57P05), an idle transaction. */
const CLOSED_BY_SERVER = /^(?:08...|57P0\d|25P03)$/;

/** Whether the connection is of no more use: nothing can be rolled back on it. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string') {
    return CLOSED_BY_SERVER.test(error.code) || (!isServerError(error) && environmentFault(error) !== null);
  }
  return LOST.some((pattern) => pattern.test(error.message));
}

/** An error response of the server has a severity; one of the socket has none. */
const isServerError = (error: Error): boolean => 'severity' in error;

/** A fault of the database or of the way to it, as a retryable error; null for what a statement itself did wrong. */
export function databaseFault(error: unknown): BulkheadError | null {
  if (error instanceof BulkheadError) return null;
  if (error instanceof Error && error.message === POOL_BUSY) {
    return new BulkheadError('overloaded', 'All connections to the database are in use. Try again.', {
      retryAfterMs: RETRY_AFTER_MS,
      cause: error,
    });
  }
  const known = environmentFault(error);
  // Whatever the network did, the caller is told the same.
  if (known?.code === 'service_unavailable' || (known === null && isConnectionLost(error))) {
    return databaseUnavailable(error);
  }
  return known;
}

export const databaseUnavailable = (cause: unknown): BulkheadError =>
  new BulkheadError('service_unavailable', 'The database cannot be reached. Try again.', {
    retryAfterMs: RETRY_AFTER_MS,
    cause,
  });
