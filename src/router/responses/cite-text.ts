import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { FileCitation } from '#router/responses/response-schema.ts';

/** `[1]`, `[1, 3]`, `[2-4]`, and the brackets that some models prefer: `【1】`. */
const MARKER = /[[【](\d{1,3}(?:\s?[,;–-]\s?\d{1,3})*)[\]】]/g;

/** An annotation where the text first names each cited passage; at its end for one that it does not name. */
export function citeText(text: string, citations: readonly Citation[]): FileCitation[] {
  const places = new Map<number, number>();
  for (const match of text.matchAll(MARKER)) {
    for (const part of (match[1] ?? '').split(/\s?[,;]\s?/)) {
      const [from = 0, to = from] = part.split(/\s?[–-]\s?/).map(Number);
      for (const { index } of citations) {
        if (index >= from && index <= to && !places.has(index)) places.set(index, match.index);
      }
    }
  }
  return citations.map(({ index, document_id, title }) => ({
    type: 'file_citation',
    file_id: document_id,
    filename: title,
    index: places.get(index) ?? text.length,
  }));
}
