import { atOnce } from '#app/in-slices.ts';
import {
  decodeBase64,
  decodeEscapes,
  decodeHex,
  decodeHidden,
  decodeLeetspeak,
  decodeUrl,
  rot13,
} from '#router/guardrails/normalise/decode.ts';
import { foldInSteps } from '#router/guardrails/normalise/fold.ts';
import {
  composeMaps,
  type MappedText,
  MappedTextBuilder,
  originOf,
  type TextView,
  type ViewKind,
} from '#router/guardrails/normalise/text-view.ts';
import { undisguiseInSteps } from '#router/guardrails/normalise/undisguise.ts';

/** An encoded text within an encoded text, and so on. */
const MAX_DEPTH = 3;
/**
 * Decoding seldom gives more than it takes, so this bounds the work. A text that decodes to more is made to exhaust whoever
 * reads it, and is not waved through: {@link viewsOf} throws.
 */
const MAX_DECODED_FACTOR = 4;
const MIN_DECODED_CHARACTERS = 65_536;

/** Common words, most of them of orders to a model: a text that gains them when it is turned is turned text. */
const COMMON =
  'the and you your all are that this with for not have from what ignore previous instructions system prompt reveal password tell show secret rules forget'.split(
    ' ',
  );
const PLAIN = 1;
const TURNED = 2;
const REVERSED = 4;
const KNOWN_WORDS: ReadonlyMap<string, number> = knownWords();

const RUNS: readonly {
  kind: ViewKind;
  /** What every run holds: most texts hold none and are not searched. */
  sign: RegExp;
  pattern: RegExp;
  decode: (run: string) => string | null;
}[] = [
  {
    kind: 'base64',
    sign: /[A-Za-z0-9+/_-]{16}/,
    pattern: /[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*={0,2}/g,
    decode: decodeBase64,
  },
  {
    kind: 'hex',
    sign: /[0-9a-f]{2}[\s:,]?(?:0x|\\x)?[0-9a-f]{2}/i,
    pattern: /(?:(?:0x|\\x)?[0-9a-f]{2}[\s:,]?){8,}/gi,
    decode: decodeHex,
  },
  {
    kind: 'url',
    sign: /%[0-9a-f]{2}/i,
    pattern: /(?:%[0-9a-f]{2}[^\s%]{0,64}){3,}/gi,
    decode: decodeUrl,
  },
  {
    kind: 'escapes',
    sign: /\\[ux]|&#/,
    pattern: /(?:(?:\\u\{?[0-9a-f]{2,6}\}?|\\x[0-9a-f]{2}|&#x?[0-9a-f]{2,7};)[^\\&]{0,32}){3,}/gi,
    decode: decodeEscapes,
  },
];
const HIDDEN_RUN = /(?:[\ufe00-\ufe0f]|[\u{e0020}-\u{e007e}]|[\u{e0100}-\u{e01ef}]){4,}/gu;
/** `i g n o r e`, `i.g.n.o.r.e`: letters one by one, with words parted by more space. */
const SPACED_RUN = /(?<![\p{L}\p{N}])(?:\p{L}[ ._*-]{1,4}){4,}\p{L}(?![\p{L}\p{N}])/gu;

/**
 * Every reading of a text that a model might see through to. First `plain` (NFKC, nothing invisible), then `folded`
 * (also lower case, accents and lookalikes folded), then what decoding gives. Time and memory are linear in the text.
 */
export const viewsOf = (text: string): TextView[] => atOnce(viewsInSteps(text));

/** As {@link viewsOf}, with breaks in a long text. */
export function* viewsInSteps(text: string): Generator<void, TextView[]> {
  const plain = yield* undisguiseInSteps(text);
  const budget = { characters: Math.max(MIN_DECODED_CHARACTERS, MAX_DECODED_FACTOR * text.length) };
  const views: TextView[] = [viewOf('plain', plain)];
  const folded = yield* foldInSteps(plain.text);
  const foldedMap = composeMaps(plain.map, folded.map);
  views.push(viewOf('folded', { text: folded.text, map: foldedMap }));
  yield* addRewritten(views, { text: folded.text, map: foldedMap });
  yield* addDecoded(views, plain, budget, 1);
  for (const match of text.matchAll(HIDDEN_RUN)) {
    const decoded = decodeHidden(match[0]);
    if (decoded !== null) {
      yield* addDecodedText(
        views,
        'hidden',
        decoded,
        match.index,
        match.index + match[0].length,
        null,
        budget,
        1,
      );
    }
  }
  return views;
}

const viewOf = (kind: ViewKind, { text, map }: MappedText): TextView => ({
  kind,
  text,
  origin: (start, end) => originOf(map, start, end),
});

/** Readings of the whole text that keep its length, or nearly. */
function* addRewritten(views: TextView[], { text, map }: MappedText): Generator<void, void> {
  if (MAY_BE_LEETSPEAK.test(text)) {
    const leet = decodeLeetspeak(text);
    if (leet !== text) views.push(viewOf('leetspeak', { text: leet, map }));
  }
  yield;
  const joined = joinSpaced(text);
  yield;
  if (joined !== null) views.push(viewOf('spaced', { text: joined.text, map: composeMaps(map, joined.map) }));
  const { plain, turned, reversed } = countCommon(text);
  yield;
  if (turned >= Math.max(2, plain >> 3)) views.push(viewOf('rot13', { text: rot13(text), map }));
  if (reversed >= Math.max(2, plain >> 3)) {
    views.push({
      kind: 'reversed',
      text: reverse(text),
      origin: (start, end) => originOf(map, text.length - end, text.length - start),
    });
  }
}

const MAY_BE_LEETSPEAK = /[a-z][0-9@$|+]|[0-9@$|+!][a-z]/;

/** By UTF-16 unit, so that places can be told; the halves of a pair that fall apart are no letters. */
function reverse(text: string): string {
  let reversed = '';
  for (let index = text.length - 1; index >= 0; index--) reversed += text[index] ?? '';
  return reversed;
}

/** Common words of the text as it is, in ROT13 and backwards. */
function countCommon(text: string): { plain: number; turned: number; reversed: number } {
  const count = { plain: 0, turned: 0, reversed: 0 };
  for (const [word] of text.matchAll(/[a-z]{3,12}/g)) {
    const known = KNOWN_WORDS.get(word);
    if (known === undefined) continue;
    if (known & PLAIN) count.plain++;
    if (known & TURNED) count.turned++;
    if (known & REVERSED) count.reversed++;
  }
  return count;
}

function knownWords(): Map<string, number> {
  const known = new Map<string, number>();
  const add = (word: string, how: number) => known.set(word, (known.get(word) ?? 0) | how);
  for (const word of COMMON) {
    add(word, PLAIN);
    add(rot13(word), TURNED);
    add(reverse(word), REVERSED);
  }
  return known;
}

function joinSpaced(text: string): MappedText | null {
  // Nearly every text has none.
  if (text.search(SPACED_RUN) < 0) return null;
  const builder = new MappedTextBuilder(text.length);
  let at = 0;
  for (const match of text.matchAll(SPACED_RUN)) {
    builder.copy(text.slice(at, match.index), at);
    const [run] = match;
    let gap = '';
    for (let index = 0; index < run.length; index++) {
      const unit = run[index] ?? '';
      if (/[ ._*-]/.test(unit)) {
        gap += unit;
        continue;
      }
      // Two blanks or more part words where one parts letters.
      if (gap.length > 1 && /\s{2}/.test(gap))
        builder.replace(' ', match.index + index - 1, match.index + index);
      gap = '';
      builder.copy(unit, match.index + index);
    }
    at = match.index + run.length;
  }
  builder.copy(text.slice(at), at);
  return builder.build();
}

type Budget = { characters: number };

function* addDecoded(
  views: TextView[],
  source: MappedText,
  budget: Budget,
  depth: number,
): Generator<void, void> {
  for (const { kind, sign, pattern, decode } of RUNS) {
    if (!sign.test(source.text)) continue;
    yield;
    let sinceBreak = 0;
    for (const match of source.text.matchAll(pattern)) {
      sinceBreak += match[0].length;
      if (sinceBreak > DECODED_A_STEP) {
        sinceBreak = 0;
        yield;
      }
      // An escape may stand in the middle of a word, and the word's beginning belongs to it.
      const start = kind === 'url' ? wordStart(source.text, match.index) : match.index;
      const end = match.index + match[0].length;
      const run = source.text.slice(start, end);
      const decoded = decode(run);
      if (decoded === null || decoded === run) continue;
      yield* addDecodedText(views, kind, decoded, start, end, source.map, budget, depth);
    }
  }
}

const MAX_WORD = 64;
/** Characters that are decoded before a break: a millisecond at most. */
const DECODED_A_STEP = 2_048;

function wordStart(text: string, at: number): number {
  let start = at;
  while (start > 0 && at - start < MAX_WORD && /\S/.test(text[start - 1] ?? '')) start--;
  return start;
}

/** What a run decodes to, undisguised and folded; any range of it came from the whole run. */
function* addDecodedText(
  views: TextView[],
  kind: ViewKind,
  decoded: string,
  start: number,
  end: number,
  map: MappedText['map'],
  budget: Budget,
  depth: number,
): Generator<void, void> {
  budget.characters -= decoded.length;
  if (budget.characters < 0) throw new RangeError('The text decodes to too much text.');
  const whole = originOf(map, start, end);
  const plain = (yield* undisguiseInSteps(decoded)).text;
  views.push({ kind, text: plain, origin: () => whole });
  if (depth >= MAX_DEPTH) return;
  const inner: TextView[] = [];
  yield* addDecoded(inner, { text: plain, map: null }, budget, depth + 1);
  for (const view of inner) views.push({ ...view, origin: () => whole });
}
