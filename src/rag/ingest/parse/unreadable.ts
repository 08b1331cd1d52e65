import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** What is known of a file before it is read. Both are the uploader's words. */
export type FileLabel = Readonly<{ filename: string; mediaType: string }>;

/** The file is of an accepted format, but can't be read. The reason is shown to the uploader. */
export const unreadable = (reason: string, cause?: unknown): BulkheadError =>
  new BulkheadError('unreadable_document', reason, { param: 'file', cause });

/** A filename as it may be shown in a message: short, on one line, without control characters. */
export function shownName(filename: string): string {
  const clean = filename.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd').toWellFormed();
  return clean.length > 100 ? `${clean.slice(0, 100).toWellFormed()}…` : clean;
}
