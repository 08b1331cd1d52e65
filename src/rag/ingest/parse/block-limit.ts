import { unreadable } from '#rag/ingest/parse/unreadable.ts';

/** One block for every 64 bytes of the largest document. Without a bound, a file of headings alone has millions. */
const MAX_BLOCKS = 250_000;

/** Throws `unreadable_document` when a document consists of more blocks than can be kept. */
export function checkBlockCount(count: number): void {
  if (count > MAX_BLOCKS) {
    throw unreadable(
      `The document has more than ${MAX_BLOCKS.toLocaleString('en')} paragraphs and headings.`,
    );
  }
}
