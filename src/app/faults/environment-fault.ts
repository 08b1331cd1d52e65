import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ErrorCode } from '#app/errors/catalogue.ts';

type FaultCode = Extract<
  ErrorCode,
  'service_unavailable' | 'overloaded' | 'storage_full' | 'storage_unavailable'
>;

const RENDERED: Readonly<Record<FaultCode, { message: string; retryAfterMs: number }>> = {
  service_unavailable: {
    message: 'A service that this request needs cannot be reached now. Try again.',
    retryAfterMs: 1_000,
  },
  overloaded: {
    message: 'The server has no capacity for this request now. Try again.',
    retryAfterMs: 2_000,
  },
  storage_full: {
    message: 'The server’s disk is full, so this cannot be stored now. Try again later.',
    retryAfterMs: 30_000,
  },
  storage_unavailable: {
    message: 'The server’s storage cannot be read or written now. Try again later.',
    retryAfterMs: 30_000,
  },
};

/**
 * SQLSTATE by code, then by class (its first two characters): https://www.postgresql.org/docs/17/errcodes-appendix.html.
 * PGlite has the same.
 */
const BY_SQLSTATE: Readonly<Record<string, FaultCode>> = {
  '08': 'service_unavailable', // connection exception
  25006: 'service_unavailable', // read-only transaction: a standby, until the primary is back
  '25P03': 'service_unavailable', // the server ended a transaction that idled
  40: 'overloaded', // rolled back: deadlock, serialisation failure
  53: 'overloaded', // too many connections, out of memory
  53100: 'storage_full',
  54000: 'overloaded', // a limit of the server
  '55P03': 'overloaded', // a lock was not available in time
  55006: 'overloaded', // object in use
  57014: 'overloaded', // the statement's time limit
  57: 'service_unavailable', // shutting down, starting, crashed
  58: 'storage_unavailable', // I/O error of the server
  58000: 'storage_unavailable',
  XX001: 'storage_unavailable', // damaged data
  XX002: 'storage_unavailable', // damaged index
};

const BY_ERRNO: Readonly<Record<string, FaultCode>> = {
  ENOSPC: 'storage_full',
  EDQUOT: 'storage_full',
  EFBIG: 'storage_full',
  EROFS: 'storage_unavailable',
  EIO: 'storage_unavailable',
  EACCES: 'storage_unavailable',
  EPERM: 'storage_unavailable',
  ENODEV: 'storage_unavailable',
  ENXIO: 'storage_unavailable',
  ESTALE: 'storage_unavailable',
  EMFILE: 'overloaded',
  ENFILE: 'overloaded',
  ENOMEM: 'overloaded',
  ENOBUFS: 'overloaded',
  EAGAIN: 'overloaded',
  EADDRNOTAVAIL: 'overloaded', // no free local port for a new connection
  ERR_WORKER_OUT_OF_MEMORY: 'overloaded',
  ERR_WORKER_INIT_FAILED: 'overloaded',
  ECONNREFUSED: 'service_unavailable',
  ECONNRESET: 'service_unavailable',
  ECONNABORTED: 'service_unavailable',
  EPIPE: 'service_unavailable',
  ETIMEDOUT: 'service_unavailable',
  EHOSTUNREACH: 'service_unavailable',
  EHOSTDOWN: 'service_unavailable',
  ENETUNREACH: 'service_unavailable',
  ENETDOWN: 'service_unavailable',
  ENOTCONN: 'service_unavailable',
  ENOTFOUND: 'service_unavailable',
  EAI_AGAIN: 'service_unavailable',
  UND_ERR_CONNECT_TIMEOUT: 'service_unavailable',
  UND_ERR_HEADERS_TIMEOUT: 'service_unavailable',
  UND_ERR_BODY_TIMEOUT: 'service_unavailable',
  UND_ERR_SOCKET: 'service_unavailable',
};

/** Rust libraries (LanceDB) have the errno in their message alone: `No space left on device (os error 28)`. */
const OS_ERROR = /\(os error (\d{1,3})\)/;
const LINUX_ERRNO: Readonly<Record<number, keyof typeof BY_ERRNO>> = {
  1: 'EPERM',
  5: 'EIO',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  23: 'ENFILE',
  24: 'EMFILE',
  27: 'EFBIG',
  28: 'ENOSPC',
  30: 'EROFS',
  116: 'ESTALE',
  122: 'EDQUOT',
};

/** `fetch failed` and the like wrap what happened. */
const MAX_CAUSES = 5;

/**
 * What the environment did to us (a disk, a database, the network, a limit of the operating system), as an error that tells
 * the caller when to try again; null for anything else. The original is its `cause`.
 */
export function environmentFault(error: unknown): BulkheadError | null {
  let inner = error;
  for (let depth = 0; depth < MAX_CAUSES && inner instanceof Error; depth++) {
    const code = faultCodeOf(inner);
    if (code !== undefined) {
      const { message, retryAfterMs } = RENDERED[code];
      return new BulkheadError(code, message, { retryAfterMs, cause: error });
    }
    inner = inner.cause;
  }
  return null;
}

function faultCodeOf(error: Error): FaultCode | undefined {
  if (error instanceof BulkheadError) return undefined;
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'string' && code !== '') {
    if (Object.hasOwn(BY_ERRNO, code)) return BY_ERRNO[code];
    return isSqlState(code) ? (BY_SQLSTATE[code] ?? BY_SQLSTATE[code.slice(0, 2)]) : undefined;
  }
  const name = LINUX_ERRNO[Number(OS_ERROR.exec(error.message)?.[1])];
  return name === undefined ? undefined : BY_ERRNO[name];
}

const isSqlState = (code: string): boolean => /^[0-9A-Z]{5}$/.test(code);
