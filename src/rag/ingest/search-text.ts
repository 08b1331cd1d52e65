import { createHash } from 'node:crypto';

/** Raise it when parsing, chunking or the search text change what the index should hold. */
export const INGEST_VERSION = 1;

/**
 * What is embedded and searched by words: the passage under its title and headings, which often name what the
 * passage only calls "it".
 */
export function searchTextOf(title: string, headingPath: readonly string[], text: string): string {
  const headings = headingPath[0] === title ? headingPath.slice(1) : headingPath;
  return `${[title, ...headings].join(' > ')}\n${text}`;
}

export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What an index entry was made from: `documents.indexed_hash`. Another value means that it is out of date. */
export const indexedHashOf = (contentHash: string, embedderId: string): string =>
  sha256Hex(JSON.stringify([INGEST_VERSION, embedderId, contentHash]));
