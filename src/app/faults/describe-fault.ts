import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { environmentFault } from '#app/faults/environment-fault.ts';

/** What an operator does about a fault of the file system, by its errno. */
const OF_FILES: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on its disk. Make room, or name another directory',
  EDQUOT: 'the disk quota is used up. Make room, or name another directory',
  EROFS: 'its file system is read-only. Mount it writable, or name another directory',
  EACCES: 'this user lacks the permission. Give it the directory (chown), or name another one',
  EPERM: 'this user lacks the permission. Give it the directory (chown), or name another one',
  EIO: 'its disk failed',
  ENOTDIR: 'a file is in the place of a directory',
  EEXIST: 'a file is in its place',
  ENOENT: 'it is not there',
  EMFILE: 'too many files are open. Raise the limit (ulimit -n)',
  ENFILE: 'too many files are open on this machine',
};

const MAX_CAUSES = 5;

/**
 * Why a process cannot start or go on, as one line for its operator: what is at fault, what happened, its code. Null where it
 * is nothing of the environment: then a stack trace tells more.
 */
export function describeFault(error: unknown): string | null {
  const cause = rootOf(error);
  if (!(cause instanceof Error)) return null;
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  // A failed write has no path.
  const isOfFile = 'syscall' in cause && OF_FILES[code] !== undefined;
  if (isOfFile && cause.syscall !== 'listen' && cause.syscall !== 'connect') {
    const path = 'path' in cause && typeof cause.path === 'string' ? cause.path : 'A file';
    // What a recursive `mkdir` of Node says of a read-only file system, too.
    const isUnmade = code === 'ENOENT' && cause.syscall === 'mkdir';
    const words = isUnmade
      ? 'it cannot be made: its file system is read-only, or its parent is gone'
      : OF_FILES[code];
    return `${path}: ${words} (${code}).`;
  }
  if ('syscall' in cause && cause.syscall === 'listen') return describeListen(cause, code);
  if ('severity' in cause) return `The database refused: ${oneLine(cause.message)} (SQLSTATE ${code}).`;
  if (environmentFault(error) === null && !(error instanceof BulkheadError)) return null;
  const own =
    error instanceof Error && error !== cause
      ? `${oneLine(error.message).replace(/\.(?: Try again\.)?$/, '')}: `
      : '';
  return `${own}${oneLine(cause.message) || code}`;
}

/** The innermost cause; of several addresses that were tried, the first. */
function rootOf(error: unknown): unknown {
  let inner = error;
  for (let depth = 0; depth < MAX_CAUSES; depth++) {
    if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0];
    else if (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
    else break;
  }
  return inner;
}

function describeListen(error: Error, code: string): string {
  const address = 'address' in error ? String(error.address) : '';
  const port = 'port' in error ? String(error.port) : '';
  if (code === 'EADDRINUSE')
    return `Port ${port} on ${address} is in use. Stop what uses it, or set PORT (${code}).`;
  if (code === 'EACCES')
    return `Port ${port} needs rights that this user lacks. Set PORT above 1023 (${code}).`;
  return `HOST=${address} cannot be listened on (${code}).`;
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
