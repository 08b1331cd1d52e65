import { Worker } from 'node:worker_threads';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { parseDocument } from '#rag/ingest/parse/parse-document.ts';
import {
  isDocumentErrorCode,
  type ParserReply,
  type ParserRequest,
} from '#rag/ingest/parse/process/messages.ts';
import { packDocument } from '#rag/ingest/parse/process/packed-document.ts';

/** A process that reads documents, one after the other, and does nothing else. Started by `parser-process.ts`. */

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const watchdog = withErrorListener(
  new Worker(new URL(`./watchdog.${extension}`, import.meta.url), {
    workerData: { maxResidentMb: Number(process.argv[2]), hostProcessId: Number(process.argv[3]) },
  }),
  // Without its watchdog this process would have no bound on its memory.
  () => process.exit(1),
);

const reply = (message: ParserReply): void => {
  process.send?.(message);
};

process.on('message', (request: ParserRequest) => {
  void parseDocument(request.bytes, request.format, request).then(
    (document) => reply({ kind: 'document', document: packDocument(document) }),
    (error: unknown) => {
      if (error instanceof BulkheadError && isDocumentErrorCode(error.code)) {
        reply({ kind: 'error', code: error.code, message: error.message });
      } else {
        reply({ kind: 'error', code: 'unreadable_document', message: reasonOf(error) });
      }
    },
  );
});
process.once('disconnect', () => process.exit(0));
watchdog.once('online', () => reply({ kind: 'ready' }));

/** A parser's own words may hold paths or text of the document: they aren't shown. */
const reasonOf = (error: unknown): string =>
  error instanceof RangeError && error.message.includes('call stack')
    ? 'The document is nested too deeply.'
    : 'The document is damaged, or uses something that the parser does not know.';
