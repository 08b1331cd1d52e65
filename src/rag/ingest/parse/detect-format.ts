import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { nameBinaryFormat } from '#rag/ingest/parse/binary-signatures.ts';
import { type FileLabel, shownName, unreadable } from '#rag/ingest/parse/unreadable.ts';

export type DocumentFormat = 'markdown' | 'text' | 'html' | 'pdf' | 'docx' | 'csv' | 'json' | 'code';

const DOCX_MEDIA_TYPE = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';

const EXTENSIONS: Readonly<Record<DocumentFormat, string>> = {
  markdown: 'md markdown mdown mkd mdx',
  text: 'txt text log rst adoc asciidoc org tex srt vtt',
  html: 'html htm xhtml',
  pdf: 'pdf',
  docx: 'docx docm dotx',
  csv: 'csv tsv',
  json: 'json jsonl ndjson geojson ipynb json5',
  code:
    'js mjs cjs jsx ts mts cts tsx py pyi rb go rs java kt kts scala c h cc cpp cxx hpp cs fs swift m php pl pm lua r jl ' +
    'dart ex exs erl hrl hs clj sh bash zsh fish ps1 bat sql graphql proto css scss less vue svelte xml xsd yaml yml ' +
    'toml ini cfg conf env properties tf hcl gradle cmake mk dockerfile makefile gitignore editorconfig diff patch',
};

// `Object.entries` forgets that the keys of the record above are formats.
const FORMAT_BY_EXTENSION = new Map<string, DocumentFormat>(
  Object.entries(EXTENSIONS).flatMap(([format, extensions]) =>
    extensions.split(' ').map((extension): [string, DocumentFormat] => [extension, format as DocumentFormat]),
  ),
);

const FORMAT_BY_MEDIA_TYPE: Readonly<Record<string, DocumentFormat>> = {
  'text/markdown': 'markdown',
  'text/x-markdown': 'markdown',
  'text/html': 'html',
  'application/xhtml+xml': 'html',
  'application/pdf': 'pdf',
  [DOCX_MEDIA_TYPE]: 'docx',
  'text/csv': 'csv',
  'text/tab-separated-values': 'csv',
  'application/json': 'json',
  'application/x-ndjson': 'json',
  'application/xml': 'code',
  'application/yaml': 'code',
  'application/toml': 'code',
  'application/javascript': 'code',
  'application/typescript': 'code',
  'application/sql': 'code',
  'application/x-sh': 'code',
};

/** Media types that say nothing about the content. */
const SILENT_MEDIA_TYPES = new Set(['', 'application/octet-stream', 'binary/octet-stream']);

/** How many leading bytes are looked at: the head of a file is enough to call `detectFormat`. */
export const FORMAT_HEAD_BYTES = 4_096;

/**
 * Which format a file is read as. Its first bytes come before its name, and its name before its media type.
 * Throws `unsupported_media_type` when the format isn't accepted or the name contradicts the bytes, and
 * `unreadable_document` when the file is empty or an encrypted Office file.
 */
export function detectFormat(bytes: Uint8Array, file: FileLabel): DocumentFormat {
  if (bytes.length === 0) throw unreadable('The file is empty.');
  const head = bytes.subarray(0, FORMAT_HEAD_BYTES);
  const binary = nameBinaryFormat(head);
  const named = formatByName(file.filename);
  const declared = FORMAT_BY_MEDIA_TYPE[bareMediaType(file.mediaType)];
  const claimed = named ?? declared;

  if (binary === 'PDF') return 'pdf';
  if (binary === 'ZIP' && (claimed === 'docx' || mentionsWordDocument(head))) return 'docx';
  if (binary === 'OLE' && claimed === 'docx') {
    throw unreadable('The Word document is encrypted, or is in the format of Word 97 to 2003.');
  }
  if (binary !== null) throw unsupported(file, `It is a ${binary} file`);
  if (claimed === 'pdf' || claimed === 'docx') {
    throw unsupported(file, `It is not a ${claimed === 'pdf' ? 'PDF' : 'DOCX'}, though it says so`);
  }
  if (claimed !== undefined) return claimed;
  const mediaType = bareMediaType(file.mediaType);
  if (mediaType.startsWith('text/') || SILENT_MEDIA_TYPES.has(mediaType)) return 'text';
  throw unsupported(file, `${shownName(mediaType)} is none of them`);
}

function formatByName(filename: string): DocumentFormat | undefined {
  const name = filename.slice(filename.lastIndexOf('/') + 1).toLowerCase();
  return FORMAT_BY_EXTENSION.get(name.slice(name.lastIndexOf('.') + 1));
}

const bareMediaType = (mediaType: string): string => (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();

/** Entry names stand uncompressed in a ZIP; Word writes those of its own parts first. */
const mentionsWordDocument = (head: Uint8Array): boolean =>
  Buffer.from(head.buffer, head.byteOffset, head.byteLength).includes('word/');

const unsupported = (file: FileLabel, reason: string): BulkheadError =>
  new BulkheadError(
    'unsupported_media_type',
    `${shownName(file.filename)} cannot be read. ${reason}. Accepted are Markdown, plain text, HTML, PDF, DOCX, CSV, JSON and source code.`,
    { param: 'file' },
  );
