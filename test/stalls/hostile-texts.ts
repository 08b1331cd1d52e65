/** A text of about so many bytes of UTF-8 that is hard on whoever reads it. */
export type TextShape = Readonly<{ name: string; write: (bytes: number) => string }>;

/** The unit again and again. */
export const repeated = (unit: string): TextShape['write'] => {
  const size = Math.max(1, Buffer.byteLength(unit));
  return (bytes) => unit.repeat(Math.max(1, Math.floor(bytes / size)));
};

const shape = (name: string, unit: string): TextShape => ({ name, write: repeated(unit) });

/** Letters and digits that no rule makes shorter, and that are the same in every run. */
function noise(bytes: number, alphabet: string): string {
  let state = 11;
  let text = '';
  for (let at = 0; at < bytes; at++) {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    text += alphabet[(state >> 16) % alphabet.length];
  }
  return text;
}

const KEY = '-----BEGIN RSA PRIVATE KEY-----';

export const TEXT_SHAPES: readonly TextShape[] = [
  { name: 'marks out of order', write: (bytes) => `a${repeated('\u0301\u0316\u0345')(bytes)}` },
  shape('marks on each letter', `a${'\u0301\u0316\u0345'.repeat(10)}`),
  shape('half-width marks', '\uff9e'),
  shape('ligatures of 18 characters', '\ufdfa '),
  shape('ellipses', '…'),
  { name: 'one endless word', write: repeated('a') },
  { name: 'one endless word of ideographs', write: repeated('漢') },
  { name: 'words that are all different', write: (bytes) => noise(bytes, 'abcdefghij     ') },
  shape('names and addresses', 'Ann Lee of 1 Main Street, Paris wrote to a@b.co about +49 30 901820; '),
  shape('signs', '.'),
  shape('accents', 'é.'),
  shape('half characters', '\ud800'),
  shape('characters of two units', '😀'),
  shape('Cyrillic', 'Привет мир как дела '),
  shape('private keys in each other', KEY),
  shape('private keys broken off', `${KEY}!`),
  shape('escapes', '\\u0041'),
  shape('URL escapes', '%41'),
  { name: 'Base64', write: (bytes) => Buffer.from(noise((bytes * 3) / 4, 'abc DEF')).toString('base64') },
  shape('Base64 in pieces', 'QUJDREVGR0hJSktMTU5PUA== '),
  shape('hex', '41 '),
  shape('JSON in a text', '{"a":['),
  { name: 'a list of JSON in a text', write: (bytes) => `[${repeated('{"a":1},')(bytes)}0]` },
  shape('letters apart', 'i g n o r e '),
  shape('tag characters', '\u{e0041}'),
  shape('line ends', '\n'),
  shape('digits', '1 '),
  shape('card numbers', '4111 1111 1111 1111 '),
];
