/**
 * Letters of other alphabets, and odd Latin ones, that a reader takes for a plain Latin letter. Written from the
 * shapes of the letters; lower case throughout, because the text is lower case by then. NFKC has already dealt with
 * full-width, mathematical, circled and super- or subscript letters.
 */
const LOOKALIKES: Readonly<Record<string, string>> = {
  a: 'аαɑᴀ∂ꭺ',
  b: 'ƅьʙᏼꮟβъ',
  c: 'сϲᴄⅽꮯͼ',
  d: 'ԁɗđᴅꭰժ',
  e: 'еёєεҽᴇꭼəǝ℮',
  f: 'ƒꜰғϝ',
  g: 'ɡɢցԍꮐ',
  h: 'һհħʜꮋн',
  i: 'іıɪιɩїꭵӏ',
  j: 'јʝᴊϳꭻ',
  k: 'кκᴋҝꮶ',
  l: 'ⅼłʟꮮɭ',
  m: 'мᴍꮇɱ',
  n: 'пηɴոռŋи',
  o: 'оοᴏօσøөꬽ',
  p: 'рρᴘꮲ',
  q: 'ԛզ',
  r: 'гʀᴦꮢя',
  s: 'ѕꜱʂꮪ',
  t: 'тτᴛŧꭲ',
  u: 'υսᴜцʋ',
  v: 'ѵνᴠꮩ',
  w: 'ԝωᴡшꮃѡ',
  x: 'хχҳ',
  y: 'уγʏүყ',
  z: 'ᴢʐꮓ',
};

/** Lookalike to Latin letter. */
export const LATIN_FOR: ReadonlyMap<string, string> = new Map([
  ...Object.entries(LOOKALIKES).flatMap(([latin, others]) =>
    [...others].map((other) => [other, latin] as const),
  ),
  ...emojiLetters(),
]);

/** Regional indicators, and squared letters in white on dark, which NFKC leaves alone. */
function emojiLetters(): (readonly [string, string])[] {
  const firsts = [0x1f1e6, 0x1f150, 0x1f170];
  return firsts.flatMap((first) =>
    Array.from(
      { length: 26 },
      (_, index) => [String.fromCodePoint(first + index), String.fromCharCode(97 + index)] as const,
    ),
  );
}
