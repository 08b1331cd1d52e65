/** Decoders of what hides text. Each gives null where the run is not text in that encoding; none throws. */

const TEXT_BYTES = new TextDecoder('utf-8', { fatal: true });
const WEIRD = /[^\t\n\r\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]/gu;

/** The bytes as text, if that is what they are: valid UTF-8, at least nine tenths of it readable. */
export function readableText(bytes: Uint8Array): string | null {
  let text: string;
  try {
    text = TEXT_BYTES.decode(bytes);
  } catch {
    return null;
  }
  const weird = text.match(WEIRD)?.length ?? 0;
  return text.length >= 4 && weird * 10 <= text.length ? text : null;
}

export function decodeBase64(run: string): string | null {
  const compact = run.replace(/\s+/g, '');
  if (compact.replace(/=+$/, '').length % 4 === 1) return null;
  return readableText(Buffer.from(compact.replaceAll('-', '+').replaceAll('_', '/'), 'base64'));
}

export function decodeHex(run: string): string | null {
  const digits = run.replace(/0x|\\x|[\s:,]/gi, '');
  return digits.length % 2 === 0 ? readableText(Buffer.from(digits, 'hex')) : null;
}

/** `%41`, repeatedly escaped text (`%2541`) too; broken escapes stay as they are. */
export function decodeUrl(run: string): string | null {
  const once = (text: string) =>
    text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
      return readableBytes(Buffer.from(escapes.replaceAll('%', ''), 'hex')) ?? escapes;
    });
  const decoded = once(once(run));
  return decoded === run ? null : decoded;
}

function readableBytes(bytes: Uint8Array): string | null {
  try {
    return TEXT_BYTES.decode(bytes);
  } catch {
    return null;
  }
}

/** `\u0041`, `\x41`, `&#65;`, `&#x41;`. */
export function decodeEscapes(run: string): string {
  return run.replace(
    /\\u\{?([0-9a-f]{2,6})\}?|\\x([0-9a-f]{2})|&#x([0-9a-f]{2,6});|&#([0-9]{2,7});/gi,
    (whole, unicode?: string, byte?: string, hex?: string, decimal?: string) => {
      const code =
        decimal === undefined ? Number.parseInt(unicode ?? byte ?? hex ?? '', 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

export function rot13(text: string): string {
  return text.replace(/[a-z]/gi, (letter) => {
    const base = letter <= 'Z' ? 65 : 97;
    return String.fromCharCode(((letter.charCodeAt(0) - base + 13) % 26) + base);
  });
}

const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '8': 'b',
  '9': 'g',
  '@': 'a',
  $: 's',
  '!': 'i',
  '|': 'l',
  '+': 't',
};

/** Longer runs of letters and digits are identifiers: read as letters, they say nothing, and now and then look like an order. */
const LONGEST_LEETSPEAK_WORD = 16;

/** Digits and signs inside words as the letters they stand for; same length. */
export function decodeLeetspeak(text: string): string {
  return text.replace(/[a-z0-9@$!|+]{2,}/gi, (word) => {
    if (word.length > LONGEST_LEETSPEAK_WORD) return word;
    if (!/[a-z]/i.test(word) || !/[0-9@$|+]|!./.test(word)) return word;
    const closing = /!+$/.exec(word)?.[0] ?? '';
    return (
      word.slice(0, word.length - closing.length).replace(/[0-9@$!|+]/g, (sign) => LEET[sign] ?? sign) +
      closing
    );
  });
}

/** Text in Unicode tag characters or in variation selectors, which show nothing and which models read. */
export function decodeHidden(run: string): string | null {
  const bytes: number[] = [];
  for (const character of run) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xe0020 && code <= 0xe007e) bytes.push(code - 0xe0000);
    else if (code >= 0xfe00 && code <= 0xfe0f) bytes.push(code - 0xfe00);
    else if (code >= 0xe0100 && code <= 0xe01ef) bytes.push(code - 0xe0100 + 16);
  }
  return readableText(Uint8Array.from(bytes));
}
