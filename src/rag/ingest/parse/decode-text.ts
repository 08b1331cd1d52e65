import { TextDecoder } from 'node:util';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type FileLabel, shownName, unreadable } from '#rag/ingest/parse/unreadable.ts';

/**
 * Control characters other than tab and line breaks. NUL can't be stored in Postgres or LanceDB, and escape
 * sequences would reach terminals.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\0-\x08\x0b\x0e-\x1f\x7f-\x9f]/g;
/** More control characters than this share mean that the file isn't text. */
const MOST_CONTROLS = 0.1;
const META_CHARSET = /<meta[^>]{0,200}charset\s{0,9}=\s{0,9}["']?\s{0,9}([a-z0-9_:.-]{1,40})/i;

/** Replaces what stores and terminals refuse, one for one: offsets stay as they were. */
export const cleanText = (text: string): string => text.replace(CONTROL, () => '\ufffd').toWellFormed();

/**
 * A text file's content: UTF-8, or what a byte order mark, the media type's charset or (of HTML) a `<meta>`
 * declares. Throws `invalid_encoding` rather than guess, and `unreadable_document` when nothing is in it.
 */
export function decodeText(bytes: Uint8Array, file: FileLabel, options = { isHtml: false }): string {
  const label = markedEncoding(bytes) ?? declaredEncoding(bytes, file, options.isHtml) ?? 'utf-8';
  const decoded = decode(bytes, label, file);
  const controls = decoded.match(CONTROL)?.length ?? 0;
  if (controls > 0 && controls > decoded.length * MOST_CONTROLS) {
    throw invalidEncoding(file, 'It holds binary data, or UTF-16 without a byte order mark');
  }
  const text = controls === 0 ? decoded.toWellFormed() : cleanText(decoded);
  if (text.trim() === '') throw unreadable('The file holds no text.');
  return text;
}

function markedEncoding(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return null;
}

function declaredEncoding(bytes: Uint8Array, file: FileLabel, isHtml: boolean): string | null {
  const fromMediaType = /;\s*charset\s*=\s*"?([a-z0-9_:.-]{1,40})/i.exec(file.mediaType.slice(0, 200))?.[1];
  if (fromMediaType !== undefined) return fromMediaType;
  if (!isHtml) return null;
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 1_024));
  const fromMeta = META_CHARSET.exec(head.toString('latin1'))?.[1]?.toLowerCase();
  // A <meta> that could be read as ASCII can't be telling the truth about UTF-16: the HTML standard says so too.
  return fromMeta === undefined || fromMeta.startsWith('utf-16') ? null : fromMeta;
}

function decode(bytes: Uint8Array, label: string, file: FileLabel): string {
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(label, { fatal: true });
  } catch (cause) {
    throw invalidEncoding(file, `It declares the encoding ${label}, which is not known`, cause);
  }
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw invalidEncoding(file, `It is not valid ${decoder.encoding.toUpperCase()}`, cause);
  }
}

const invalidEncoding = (file: FileLabel, reason: string, cause?: unknown): BulkheadError =>
  new BulkheadError('invalid_encoding', `${shownName(file.filename)} cannot be read as text. ${reason}.`, {
    param: 'file',
    cause,
  });
