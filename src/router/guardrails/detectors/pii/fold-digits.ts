/** Digits of other scripts, and the dashes that people and word processors write for a hyphen. */
const FOREIGN = /(?![\0-\x7f])\p{Nd}|[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]/gu;

/** Signs as addresses escape them: what follows begins anew. */
const ESCAPED_SIGN = /%(?:22|23|26|27|2c|3a|3b|3d|3f)/gi;

/** The text with those in ASCII, each where it was: numbers are looked for in one script. */
export function foldDigits(text: string): string {
  const plain = text.includes('%') ? text.replace(ESCAPED_SIGN, ',;,') : text;
  if (!/[^\0-\x7f]/.test(plain)) return plain;
  return plain.replace(FOREIGN, (found) => {
    if (found.length > 1) return found;
    const code = found.charCodeAt(0);
    if (!/\p{Nd}/u.test(found)) return '-';
    // The ten digits of a script follow each other.
    let value = 0;
    while (value < 9 && /\p{Nd}/u.test(String.fromCharCode(code - value - 1))) value++;
    return String(value);
  });
}
