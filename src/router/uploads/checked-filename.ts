import { BulkheadError } from '#app/errors/bulkhead-error.ts';

const MAX_FILENAME_BYTES = 255;
/** Composing makes a name shorter, by less than this; longer names are not composed to find out. */
const MAX_WRITTEN_BYTES = 4 * MAX_FILENAME_BYTES;
/** Control characters, and those that make a name read otherwise than it is (bidirectional controls). */
const DECEPTIVE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/**
 * The name of an uploaded file, composed (NFC) and trimmed. Throws a 400 for a name that is a path, holds
 * control characters, is longer than file systems take, or is not UTF-8.
 */
export function checkedFilename(name: string | undefined, param: string): string {
  const refuse = (reason: string) =>
    new BulkheadError('invalid_request', `${param}: the filename ${reason}`, { param });
  if (name === undefined) throw refuse('is missing');
  if (name.includes('\ufffd') || !name.isWellFormed()) {
    throw new BulkheadError('invalid_encoding', `${param}: the filename is not valid UTF-8`, { param });
  }
  const tooLong = `is longer than ${MAX_FILENAME_BYTES} bytes`;
  if (Buffer.byteLength(name) > MAX_WRITTEN_BYTES) throw refuse(tooLong);
  const filename = name.normalize('NFC').trim();
  if (filename === '') throw refuse('is empty');
  if (/[/\\]/.test(filename) || /^\.+$/.test(filename)) throw refuse('must not be a path');
  if (DECEPTIVE.test(filename)) throw refuse('must not hold control characters');
  if (Buffer.byteLength(filename) > MAX_FILENAME_BYTES) throw refuse(tooLong);
  return filename;
}
