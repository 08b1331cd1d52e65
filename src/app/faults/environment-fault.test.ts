import { describe, expect, it } from 'vitest';
import { databaseFault, isConnectionLost } from '#app/database/database-fault.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { environmentFault } from '#app/faults/environment-fault.ts';
import { toBulkheadError } from '#app/http/to-bulkhead-error.ts';

const withCode = (code: string, fields: object = {}) =>
  Object.assign(new Error('internal words'), { code, ...fields });

describe('what the environment does to us, by its code', () => {
  it.each([
    ['ENOSPC', 'storage_full'],
    ['EDQUOT', 'storage_full'],
    ['53100', 'storage_full'],
    ['EROFS', 'storage_unavailable'],
    ['EIO', 'storage_unavailable'],
    ['EACCES', 'storage_unavailable'],
    ['58030', 'storage_unavailable'],
    ['XX001', 'storage_unavailable'],
    ['EMFILE', 'overloaded'],
    ['ENFILE', 'overloaded'],
    ['53300', 'overloaded'],
    ['53200', 'overloaded'],
    ['40001', 'overloaded'],
    ['40P01', 'overloaded'],
    ['55P03', 'overloaded'],
    ['57014', 'overloaded'],
    ['57P01', 'service_unavailable'],
    ['57P03', 'service_unavailable'],
    ['08006', 'service_unavailable'],
    ['25006', 'service_unavailable'],
    ['ECONNREFUSED', 'service_unavailable'],
    ['ECONNRESET', 'service_unavailable'],
    ['ETIMEDOUT', 'service_unavailable'],
  ])('%s is %s', (code, expected) => {
    const cause = withCode(code);
    const found = toBulkheadError(cause);
    expect(found).toMatchObject({ code: expected, status: 503, retryable: true, cause });
    expect(found.retryAfterMs).toBeGreaterThan(0);
    expect(found.message).not.toContain('internal words');
  });

  it.each(['23505', '22P02', '42P01', 'EBADF', 'ENOENT', 'EEXIST', 'ERR_ASSERTION', ''])(
    '%s is not the environment’s',
    (code) => {
      expect(environmentFault(withCode(code))).toBeNull();
      expect(toBulkheadError(withCode(code)).code).toBe('internal_error');
    },
  );

  it('is found behind what wraps it, and in the words of Rust libraries', () => {
    expect(environmentFault(new TypeError('fetch failed', { cause: withCode('ECONNREFUSED') }))?.code).toBe(
      'service_unavailable',
    );
    const full = new Error(
      'LanceError(IO): Generic LocalFileSystem error: No space left on device (os error 28)',
    );
    expect(environmentFault(full)?.code).toBe('storage_full');
    expect(environmentFault(new Error('a text (os error 2)'))).toBeNull();
  });

  it('leaves errors that have a meaning of their own', () => {
    const known = new BulkheadError('not_found', 'There is no such document.', { cause: withCode('ENOSPC') });
    expect(toBulkheadError(known)).toBe(known);
    expect(environmentFault('ENOSPC')).toBeNull();
  });
});

describe('what the database does', () => {
  it.each([
    'Connection terminated unexpectedly',
    'Connection terminated due to connection timeout',
    'Query read timeout',
    'Client has encountered a connection error and is not queryable',
  ])('%s', (message) => {
    expect(isConnectionLost(new Error(message))).toBe(true);
    expect(databaseFault(new Error(message))?.code).toBe('service_unavailable');
  });

  it('a pool that is in use is not a database that is away', () => {
    expect(databaseFault(new Error('timeout exceeded when trying to connect'))?.code).toBe('overloaded');
  });

  it('a connection is kept where the server answered, and given up where it ended', () => {
    expect(isConnectionLost(withCode('53100', { severity: 'ERROR' }))).toBe(false);
    expect(isConnectionLost(withCode('57014', { severity: 'ERROR' }))).toBe(false);
    expect(isConnectionLost(withCode('57P01', { severity: 'FATAL' }))).toBe(true);
    expect(isConnectionLost(withCode('ECONNRESET'))).toBe(true);
  });
});
