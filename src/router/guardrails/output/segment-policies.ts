import type { SegmentPolicy } from '#router/guardrails/output/segment-scanner.ts';
import type { SlidingText } from '#router/guardrails/output/stream-scanner.ts';

const SPACE = /\s/;

/** Start of the run of non-space characters that ends at `at`. */
function runStart(text: SlidingText, start: number, at: number): number {
  let from = at;
  while (from > start && !SPACE.test(String.fromCharCode(text.charCodeAt(from - 1)))) from--;
  return from;
}

/** Full stops, commas and brackets of scripts that have no spaces. */
const FIRST_WIDE = 0x3040;
const WIDE_STOP = /[\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f\u300d\u300f]/;

/**
 * After a line end, or a space that follows a word with a small letter and without digits: tokens have no spaces in them, and
 * numbers that are written in groups end at the first such word. So plain prose is held for one word only.
 */
export const WORD_SEGMENTS: SegmentPolicy = {
  context: 96,
  maxSegment: 4_096,
  lookAhead: 12_288,
  endsAt(text, start, at) {
    const last = String.fromCharCode(text.charCodeAt(at - 1));
    if (last === '\n' || (WIDE_STOP.test(last) && text.charCodeAt(at - 2) >= FIRST_WIDE)) return true;
    if (!SPACE.test(last)) return false;
    const word = text.slice(Math.max(runStart(text, start, at - 1), at - MAX_WORD), at - 1);
    return /\p{Ll}/u.test(word) && !/[\p{N}+(]/u.test(word);
  },
};
const MAX_WORD = 512;

const MIN_SENTENCE = 24;

/** After the end of a sentence or a line: names and addresses are told by the words around them. */
export const SENTENCE_SEGMENTS: SegmentPolicy = {
  context: 128,
  maxSegment: 512,
  lookAhead: 64,
  endsAt(text, start, at) {
    const last = String.fromCharCode(text.charCodeAt(at - 1));
    // Shorter ones are looked at with what follows: each is read together with its context.
    if (at - start < MIN_SENTENCE) return false;
    if (last === '\n') return text.slice(Math.max(start, at - 2), at) === '\n\n';
    if (!SPACE.test(last)) return false;
    const word = text.slice(Math.max(runStart(text, start, at - 1), at - 64), at - 1);
    // "Dr." and "St." end no sentence.
    return /[!?]["')\]]*$/.test(word) || /[^\s.]{4,}\.["')\]]*$/.test(word);
  },
};
