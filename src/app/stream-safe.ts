/** The longest run of combining marks in the Stream-Safe Text Format of UAX #15, section 13. */
const MAX_MARKS = 30;

/**
 * Characters that normalisation reorders, and those that show nothing, which some readers take out beforehand: what stands on
 * both sides of them becomes one run. U+FF9E and U+FF9F are letters that NFKC turns into marks.
 */
const MARK = /[\p{M}\uff9e\uff9f\p{Default_Ignorable_Code_Point}\p{Cf}]/u;

/** No mark is of Latin-1, other than the soft hyphen. */
const BEYOND_LATIN = /[\u0300-\uffff]|\u00ad/;

/**
 * The text with each run of combining marks cut to 30, which is more than any language writes. `String.prototype.normalize`
 * takes time with the square of such a run (48,000 marks: 1.2 s), cannot be interrupted, and even ending its thread waits for
 * it. Every text that a client can write passes through here before it is normalised, or given to a tokenizer that normalises.
 * For what is judged and counted, not for what is stored or sent on. Linear in the text.
 */
export function streamSafe(text: string): string {
  let safe = '';
  let at = 0;
  for (const { start, end } of excessMarks(text)) {
    safe += text.slice(at, start);
    at = end;
  }
  return at === 0 ? text : safe + text.slice(at);
}

/** What {@link streamSafe} leaves out: half-open ranges in UTF-16 units, in order. */
export function excessMarks(text: string): readonly Readonly<{ start: number; end: number }>[] {
  const excess: { start: number; end: number }[] = [];
  if (!BEYOND_LATIN.test(text)) return excess;
  let marks = 0;
  let start = 0;
  for (let at = 0; at < text.length; ) {
    const code = codePointAt(text, at);
    const next = at + (code > 0xffff ? 2 : 1);
    if (isMark(code)) {
      marks += 1;
      if (marks === MAX_MARKS) start = next;
    } else {
      if (marks > MAX_MARKS) excess.push({ start, end: at });
      marks = 0;
    }
    at = next;
  }
  if (marks > MAX_MARKS) excess.push({ start, end: text.length });
  return excess;
}

/** `String.prototype.codePointAt`, which would tell `undefined` from a number for every character. */
function codePointAt(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  if ((unit & 0xfc00) !== 0xd800) return unit;
  const low = text.charCodeAt(at + 1);
  return (low & 0xfc00) === 0xdc00 ? 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff) : unit;
}

const UNKNOWN = 0;
const IS_MARK = 1;
const IS_OTHER = 2;
/** What is known of each code point, filled in as they are met: asking the regular expression takes twenty times as long. */
const kinds = new Uint8Array(0x110000);

function isMark(code: number): boolean {
  if (code < 0x300 && code !== 0xad) return false;
  if (kinds[code] === UNKNOWN) kinds[code] = MARK.test(String.fromCodePoint(code)) ? IS_MARK : IS_OTHER;
  return kinds[code] === IS_MARK;
}
