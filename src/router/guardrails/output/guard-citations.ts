import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';

export type GuardCitations = (citations: readonly Citation[]) => Citation[];

/**
 * Quoted passages with what would be redacted, or refused, in an answer redacted. They quote documents that the caller may
 * open, so one of them does not stop an answer that does not repeat it.
 */
export const guardCitationsWith =
  (redact: (text: string) => string): GuardCitations =>
  (citations) =>
    citations.map((citation) => ({
      ...citation,
      title: redact(citation.title),
      heading_path: citation.heading_path.map(redact),
      text: redact(citation.text),
    }));
