import { hashOf } from '#router/guardrails/prompt-guard/hash.ts';

/**
 * The words, numbers, single signs and line ends of a text, by columns: a message has hundreds of them, and an object each
 * would cost more than the reading. `count` rows of each column are filled.
 */
export type PiiTokens = Readonly<{
  count: number;
  /** Where the token is in the text; a possessive is not part of the name. */
  starts: Int32Array;
  ends: Int32Array;
  /** Hash of the word in lower case; numbers by their length alone. */
  words: Int32Array;
  shapes: Int32Array;
  /** Hashes of the first three and the last two, three and four letters. */
  first3: Int32Array;
  last2: Int32Array;
  last3: Int32Array;
  last4: Int32Array;
  /** 1 where nothing but the token before stands before it. */
  glued: Uint8Array;
}>;

const MAX_TOKEN = 40;
const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Forms of a token. Signs have their character's code from {@link SIGN} on, numbers their size from {@link NUMBER} on. */
export const Shape = {
  none: 0,
  lower: 1,
  lowerOne: 2,
  capital: 3,
  capitalOne: 4,
  allCapitals: 5,
  mixed: 6,
  lowerMixed: 7,
  lineEnd: 8,
} as const;
const NUMBER = 16;
const SIGN = 64;

const OTHER = 0;
const LETTER = 1;
const DIGIT = 2;
const BLANK = 3;
const LINE_END = 4;
const MARK = 5;
const UNKNOWN = 255;

/** Class and lower case of every UTF-16 unit, filled in as they are met. */
const CLASSES = new Uint8Array(0x10000).fill(UNKNOWN);
const LOWER = new Uint16Array(0x10000);

function classOf(code: number): number {
  const known = CLASSES[code] ?? OTHER;
  return known === UNKNOWN ? learn(code) : known;
}

function learn(code: number): number {
  const character = String.fromCharCode(code);
  const lower = character.toLowerCase();
  LOWER[code] = lower.length === 1 ? lower.charCodeAt(0) : code;
  const found =
    code === 10
      ? LINE_END
      : /\s/.test(character)
        ? BLANK
        : /\p{L}/u.test(character)
          ? LETTER
          : /\p{M}/u.test(character)
            ? MARK
            : /\p{N}/u.test(character)
              ? DIGIT
              : OTHER;
  CLASSES[code] = found;
  return found;
}

const NUMBER_WORDS = Uint32Array.from({ length: MAX_TOKEN + 1 }, (_, length) => hashOf(`0${length}`));
const APOSTROPHE = 39;
const CURLY_APOSTROPHE = 0x2019;
const SMALL_S = 115;

/** Case is kept in the shape: it is the best sign of a name there is. */
export function piiTokensOf(text: string): PiiTokens {
  const { length } = text;
  let room = Math.max(16, (length >> 1) + 8);
  let starts = new Int32Array(room);
  let ends = new Int32Array(room);
  let count = 0;
  for (let at = 0; at < length; ) {
    const kind = classOf(text.charCodeAt(at));
    if (kind === BLANK) {
      at++;
      continue;
    }
    let end = at + 1;
    let after = end;
    if (kind === LETTER) {
      end = endOfWord(text, at);
      after = end;
      // A name may have one apostrophe within; what follows the last one may be a possessive.
      for (let times = 0; times < 2 && isApostrophe(text, end); times++) {
        after = endOfWord(text, end + 1);
        if (after === end + 2 && lowerAt(text, end + 1) === SMALL_S) break;
        end = after;
      }
    } else if (kind === DIGIT) {
      while (end < length && classOf(text.charCodeAt(end)) === DIGIT) end++;
      after = end;
    } else if ((text.charCodeAt(at) & 0xfc00) === 0xd800 && end < length) {
      // A character of two units: an emoji or a rare script, as one sign.
      end++;
      after = end;
    }
    if (count === room) {
      room *= 2;
      starts = grown(starts, room);
      ends = grown(ends, room);
    }
    starts[count] = at;
    ends[count] = Math.min(end, at + MAX_TOKEN);
    count++;
    at = after;
  }
  return describe(text, count, starts, ends);
}

/** An apostrophe with a letter behind it. */
function isApostrophe(text: string, at: number): boolean {
  const sign = at + 1 < text.length ? text.charCodeAt(at) : 0;
  return (sign === APOSTROPHE || sign === CURLY_APOSTROPHE) && classOf(text.charCodeAt(at + 1)) === LETTER;
}

function grown(column: Int32Array, room: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(room);
  larger.set(column);
  return larger;
}

function endOfWord(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length) {
    const kind = classOf(text.charCodeAt(end));
    if (kind !== LETTER && kind !== MARK) break;
    end++;
  }
  return end;
}

function describe(text: string, count: number, starts: Int32Array, ends: Int32Array): PiiTokens {
  const words = new Int32Array(count);
  const shapes = new Int32Array(count);
  const first3 = new Int32Array(count);
  const last2 = new Int32Array(count);
  const last3 = new Int32Array(count);
  const last4 = new Int32Array(count);
  const glued = new Uint8Array(count);
  for (let index = 0; index < count; index++) {
    const start = starts[index] ?? 0;
    const end = ends[index] ?? 0;
    if (index > 0 && ends[index - 1] === start) glued[index] = 1;
    const kind = classOf(text.charCodeAt(start));
    let hash = FNV_START;
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ lowerAt(text, at), FNV_PRIME);
      if (at === start + 2) first3[index] = hash;
    }
    if (end - start < 3) first3[index] = hash;
    words[index] = kind === DIGIT ? (NUMBER_WORDS[end - start] ?? 0) : hash;
    shapes[index] = shapeOf(text, kind, start, end);
    last2[index] = hashOfLower(text, Math.max(start, end - 2), end);
    last3[index] = hashOfLower(text, Math.max(start, end - 3), end);
    last4[index] = hashOfLower(text, Math.max(start, end - 4), end);
  }
  return { count, starts, ends, words, shapes, first3, last2, last3, last4, glued };
}

function lowerAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (CLASSES[code] === UNKNOWN) learn(code);
  return LOWER[code] ?? code;
}

function hashOfLower(text: string, start: number, end: number): number {
  let hash = FNV_START;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ lowerAt(text, at), FNV_PRIME);
  return hash;
}

function shapeOf(text: string, kind: number, start: number, end: number): number {
  const code = text.charCodeAt(start);
  if (kind === LINE_END) return Shape.lineEnd;
  if (kind === DIGIT) return NUMBER + sizeOf(text, start, end);
  if (kind !== LETTER) return SIGN + code;
  const upper = LOWER[code] !== code;
  if (end - start === 1) return upper ? Shape.capitalOne : Shape.lowerOne;
  let anyUpper = false;
  let anyLower = false;
  for (let at = start + 1; at < end; at++) {
    const next = text.charCodeAt(at);
    if (lowerAt(text, at) !== next) anyUpper = true;
    else if (classOf(next) === LETTER) anyLower = true;
  }
  if (!upper) return anyUpper ? Shape.lowerMixed : Shape.lower;
  if (!anyUpper) return Shape.capital;
  return anyLower ? Shape.mixed : Shape.allCapitals;
}

/** Numbers by what they can be: a day, an age, a year, a house, a postal code. */
function sizeOf(text: string, start: number, end: number): number {
  const length = end - start;
  if (length > 4) return Math.min(length, 16) + 8;
  let value = 0;
  for (let at = start; at < end; at++) value = value * 10 + ((text.charCodeAt(at) - 48) & 15);
  if (length > 1 && text.charCodeAt(start) === 48) return length;
  if (length === 1) return value === 0 ? 0 : 1;
  if (length === 2) return value <= 12 ? 5 : value <= 31 ? 6 : 7;
  if (length === 3) return value <= 120 ? 8 : 9;
  return value >= 1900 && value < 2040 ? 10 : value < 1900 ? 11 : 12;
}
