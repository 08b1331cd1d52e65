/** The line that begins a private key in PEM or OpenPGP armour. */
export const KEY_BLOCK_START = /-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----/g;

/** The longest header, and the longest last line. */
export const MAX_KEY_LINE = 120;

const LAST_LINE = /-----END[A-Z0-9 ]{0,80}-----/g;
/** Base64, the names and values of headers, line ends, and those as JSON escapes them. */
const BODY = /[A-Za-z0-9+/=\s\\:,-]*/y;

/** Where the key whose first line ends at `from` ends: after its last line, or with the last character that a key may hold. */
export function keyBlockEnd(text: string, from: number): number {
  BODY.lastIndex = from;
  const end = from + (BODY.exec(text)?.[0].length ?? 0);
  LAST_LINE.lastIndex = from;
  const last = LAST_LINE.exec(text);
  return last === null ? end : Math.min(end, last.index + last[0].length);
}
