import { FNV_START, withUnit } from '#router/guardrails/prompt-guard/hash.ts';

/**
 * The tokens of a folded text, by columns: a message has hundreds of them, and an object each would cost more than the
 * reading. `count` rows of each column are filled.
 */
export type Tokens = Readonly<{
  count: number;
  /** Where each token is in the text. */
  starts: Int32Array;
  ends: Int32Array;
  /** Hash of the token; of a number, of how many digits it has. */
  words: Int32Array;
  /** Hash of the beginning of a longer word; 0 for any other token. */
  prefixes: Int32Array;
}>;

/** Scripts that are written without spaces: each character is a token. */
const UNSPACED =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}';
/** One token: a word, a number, a character of a script without spaces, a sign, or a line end. */
const TOKEN = new RegExp(
  `[${UNSPACED}]|[[\\p{L}\\p{M}]--[${UNSPACED}]]+(?:['’]\\p{L}{1,3}(?!\\p{L}))?|[\\p{N}--[${UNSPACED}]]+|\\n[\\n\\s]*|[^\\s\\p{L}\\p{M}\\p{N}]`,
  'vy',
);
const IS_UNSPACED = new RegExp(`[${UNSPACED}]`, 'v');

/** Longer words are cut: they are no words. */
const MAX_WORD = 32;
const PREFIX_CHARACTERS = 5;
const MAX_DIGITS = 5;
/** What may follow an apostrophe: `don't`, `they're`. */
const MAX_ENDING = 3;

const SIGN = 1;
const BLANK = 2;
const LINE_END = 3;
const DIGIT = 4;
const CHARACTER = 5;
const WORD = 6;
/** Half of a character: what holds one is left to {@link TOKEN}. */
const HALF = 7;
const KIND = 7;
/** Set beside the kind. */
const IS_LETTER = 8;

/** Kind of every UTF-16 unit, filled in as they are met; 0 is not known yet. */
const KINDS = new Uint8Array(0x10000);

function kindAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return (KINDS[code] ?? 0) || learn(code);
}

function learn(code: number): number {
  const character = String.fromCharCode(code);
  const letter = /\p{L}/u.test(character) ? IS_LETTER : 0;
  let kind = SIGN;
  if ((code & 0xf800) === 0xd800) kind = HALF;
  else if (IS_UNSPACED.test(character)) kind = CHARACTER;
  else if (letter !== 0 || /\p{M}/u.test(character)) kind = WORD;
  else if (/\p{N}/u.test(character)) kind = DIGIT;
  else if (code === 10) kind = LINE_END;
  else if (/\s/.test(character)) kind = BLANK;
  KINDS[code] = kind | letter;
  return kind | letter;
}

/** Where the token that begins at `at` ends; 0 where only {@link TOKEN} can tell. */
function endOfToken(text: string, at: number, kind: number): number {
  if (kind === SIGN || kind === CHARACTER) return at + 1;
  if (kind === HALF) return 0;
  let end = at + 1;
  let next = end < text.length ? kindAt(text, end) & KIND : 0;
  while (next === kind || (kind === LINE_END && next === BLANK)) {
    end++;
    next = end < text.length ? kindAt(text, end) & KIND : 0;
  }
  if (next === HALF) return 0;
  return kind === WORD ? withEnding(text, end) : end;
}

const APOSTROPHE = 39;
const CURLY_APOSTROPHE = 0x2019;

function withEnding(text: string, end: number): number {
  const sign = text.charCodeAt(end);
  if (sign !== APOSTROPHE && sign !== CURLY_APOSTROPHE) return end;
  let letters = end + 1;
  while (letters < text.length) {
    const kind = kindAt(text, letters);
    if ((kind & KIND) === HALF) return 0;
    if ((kind & IS_LETTER) === 0) break;
    if (++letters > end + 1 + MAX_ENDING) return end;
  }
  return letters === end + 1 ? end : letters;
}

/** Words, numbers by their number of digits, and signs; of a row of the same sign or line end, one. */
export function tokensOf(folded: string): Tokens {
  const { length } = folded;
  const starts = new Int32Array(length);
  const ends = new Int32Array(length);
  const words = new Int32Array(length);
  const prefixes = new Int32Array(length);
  let count = 0;
  // What a row of signs repeats: the unit, or -1 after anything else.
  let previous = -1;
  for (let at = 0; at < length; ) {
    const kind = kindAt(folded, at);
    if ((kind & KIND) === BLANK) {
      at++;
      continue;
    }
    const end = endOfToken(folded, at, kind & KIND) || matchedEnd(folded, at);
    const first = straight(folded.charCodeAt(at));
    const start = at;
    at = end;
    const sign =
      (end - start === 1 || first === 10) && (kind & IS_LETTER) === 0 && !isDigit(first) ? first : -1;
    if (sign !== -1 && sign === previous) continue;
    previous = sign;
    starts[count] = start;
    ends[count] = end;
    if (first === 10) words[count] = withUnit(FNV_START, 10);
    else if (isDigit(first)) words[count] = DIGIT_WORDS[Math.min(end - start, MAX_DIGITS)] ?? 0;
    else {
      let hash = FNV_START;
      const uncut = end - start <= MAX_WORD;
      const last = uncut ? end : start + MAX_WORD;
      for (let place = start; place < last; place++) {
        const unit = folded.charCodeAt(place);
        hash = withUnit(hash, uncut ? straight(unit) : unit);
        if (place === start + PREFIX_CHARACTERS - 1 && last > place + 1) prefixes[count] = hash;
      }
      words[count] = hash;
    }
    count++;
  }
  return { count, starts, ends, words, prefixes };
}

/** Where a token ends that holds halves of characters. Never `at`: what is not blank is a token. */
function matchedEnd(text: string, at: number): number {
  TOKEN.lastIndex = at;
  return TOKEN.test(text) ? TOKEN.lastIndex : at + 1;
}

const straight = (unit: number): number => (unit === CURLY_APOSTROPHE ? APOSTROPHE : unit);
const isDigit = (code: number): boolean => code >= 48 && code <= 57;

/** Numbers of one digit, of two and so on, as the text `01`, `02`. */
const DIGIT_WORDS = Int32Array.from({ length: MAX_DIGITS + 1 }, (_, digits) =>
  withUnit(withUnit(FNV_START, 48), 48 + digits),
);
