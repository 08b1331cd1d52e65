import { isCardNumber } from '#router/guardrails/detectors/pii/accounts.ts';
import { type Add, contextOf } from '#router/guardrails/detectors/pii/detect-structured.ts';

/** Digits with single separators: cards of unusual grouping and phones are told apart by what they hold. */
const DIGITS =
  /(?:(?<![\p{L}\p{N}_$€£#/=-]|(?:\p{N}|^)[.,])|(?<=[_#/=-])(?=\+))(?:\+|%2B|00)?[ ]?\(?\d(?:[ ]?[-.()/ ]?[ ]?\d){6,24}(?:[ ]{0,1}(?:x|ext\.?|extension)[ ]?\d{1,6})?\)?(?![\p{N}_]|[.,]\d|\p{L})/giu;
/** More digits than any one number has: numbers beside each other. */
const MAX_DIGITS = 19;
/** E.164 has fifteen; two zeros for the plus, or one in brackets, are more. */
const MAX_PHONE = 17;
const MAX_NATIONAL = 13;
/** Numbers that are looked at before a break: a millisecond or two. */
const NUMBERS_A_STEP = 256;

/** Phones, and the cards among the digits that are grouped as no card is printed. */
export function* addPhones(text: string, add: Add): Generator<void, void> {
  let numbers = 0;
  for (const match of text.matchAll(DIGITS)) {
    numbers += 1;
    if (numbers % NUMBERS_A_STEP === 0) yield;
    const [number] = match;
    if (number.replace(/\D/g, '').length <= MAX_DIGITS) addNumber(text, number, match.index, add);
    else for (const part of number.matchAll(/\S+/g)) addNumber(text, part[0], match.index + part.index, add);
  }
}

function addNumber(text: string, raw: string, index: number, add: Add): void {
  const lead = /^[ ]*/.exec(raw)?.[0].length ?? 0;
  const match = raw.slice(lead).replace(/[ ]+$/, '');
  const start = index + lead;
  const number = match.replace(/^%2B/i, '+');
  const digits = number.replace(/\D/g, '');
  const context = contextOf(text, start);
  if (/^[\d -]+$/.test(number) && isCardNumber(digits, context)) {
    add('card_number', start, match.length, 0.98);
    return;
  }
  // The hours of a clock go on behind a colon.
  if (/^:\d/.test(text.slice(start + match.length, start + match.length + 2))) return;
  if (looksLikePhone(number, digits, context, placeOf(text, start, start + match.length)))
    add('phone', start, match.length, 0.8);
}

const PHONE_WORDS =
  /(?:phone|tel|telephone|mobile|cell|call|fax|whatsapp|sms|text|dial|ring|contact|(?:my|his|her|our|their|your|new|home|work|office) number|reach|handy|nummer|móvil|teléfono|téléphone|telefon|telefono)\W{0,3}(?:\p{L}+\W{1,3}){0,4}$/iu;
/** As a word, or as the end of a name in lower case: not at the end of "said". */
const NOT_PHONE =
  /(?:(?:\b|_|order|user|account|item|product|session|request)(?:order|invoice|ticket|case|tracking|isbn|issn|ean|gtin|upc|imei|doi|barcode|account|acct|policy|id|ref(?:erence)?|serial|model|version|part|article|sku|zip|postal|year|card|license|licence|timestamp|epoch|bytes|size|port|pid|seed|no\.?|nr\.?)|#)\W{0,3}(?:is|number|no\.?|:)?\W{0,3}$/i;
/** As programs name them: `customerId`, `traceID`. */
const ID_OF_A_PROGRAM = /[a-z](?:I[dD]|Ref|Serial|Timestamp)\W{0,3}$/;
const DATE_SHAPE =
  /^(?:(?:1[6-9]|20)\d{2}[-/. ](?:0?[1-9]|1[0-2])[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:\d{2}|(?:1[6-9]|20)\d{2}))(?:\s?\d{1,2})?$/;
/** A date within, as beside the number of a release. */
const DATED = /(?<!\d)(?:19|20)\d{2}([-/.])(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)/;
const YEARS = /^(?:1[6-9]|20)\d{2}(?:[ .-]{1,3}(?:1[6-9]|20)\d{2})+$/;
const PRICES = /^\d{1,4}[.,]\d{2} ?- ?\d{1,4}[.,]\d{2}$/;
/** What computers count to, and what fingers run over. */
const COMMON = /^(?:2147483647|2147483648|4294967295|4294967296|0?123456789\d?|9876543210?)$/;

/** Three groups or more, with one separator. */
const GROUPED = /^\(?\d{2,5}\)?([ .-])\d{2,4}(?:\1\d{2,4}){1,3}$/;
const THOUSANDS = /^\d{1,3}(?:[ .]\d{3})+$/;
const AMOUNT =
  /(?:total|sum|amount|price|population|cost|worth|about|over|=)\W{0,3}(?:\p{L}+\W{1,2}){0,2}$/iu;
const LICENSE = /\b(?:licen[cs]e|passport|permit|DL)\b[^.\n]{0,32}$/i;
/** Ten digits of the North American plan, and the nine and a dash of a postal code there. */
const NORTH_AMERICAN = /^[2-9]\d{2}[2-9]\d{6}$/;
const POSTAL = /^\d{5}[- ]\d{4}$/;
const SSN_SHAPE = /^\d{3}-\d{2}-\d{4}$/;

/** Where a number stands: alone in its line, as one field of several, before the line's end. */
type Place = Readonly<{ alone: boolean; field: boolean; last: boolean }>;

function placeOf(text: string, start: number, end: number): Place {
  const before = text.slice(Math.max(0, start - 8), start);
  const after = text.slice(end, end + 8);
  const begins = /(?:^|\n)[ \t]*$/.test(before);
  const ends = /^[ \t]*(?:\n|$)/.test(after);
  return {
    alone: begins && ends,
    field: (begins || /[:;,|\t]\s*$/.test(before)) && (ends || /^\s*[-;,|\t]/.test(after)),
    last: ends || /^\s*[.!?](?:\s|$)/.test(after),
  };
}

/** Numbers in groups that are no phone's: dates, years, prices, sizes, versions, thousands. */
function isOtherNumber(match: string, digits: string): boolean {
  if (DATE_SHAPE.test(match) || DATED.test(match) || YEARS.test(match) || PRICES.test(match)) return true;
  if (SSN_SHAPE.test(match) || /^10\.\d{4,5}\//.test(match) || COMMON.test(digits)) return true;
  if (/^(\d)\1+$/.test(digits)) return true;
  if (THOUSANDS.test(match) && (digits.length < 9 || digits.endsWith('000'))) return true;
  const groups = match.split(/\D+/).filter((group) => group !== '');
  return (
    groups.length > 1 &&
    groups.every((group) => group.length === 1 || (group.length > 2 && group.endsWith('00')))
  );
}

/** International with a plus, a national form with its grouping, or any run of digits that is called a phone. */
function looksLikePhone(match: string, digits: string, context: string, place: Place): boolean {
  const { length } = digits;
  const own = match.replace(/ ?(?:x|ext).*$/i, '').replace(/\D/g, '').length;
  if (length < 7 || own > MAX_PHONE || isOtherNumber(match, digits)) return false;
  if (match.startsWith('+')) return own >= 8;
  if (NOT_PHONE.test(context) || ID_OF_A_PROGRAM.test(context)) return false;
  if (/^00[1-9]/.test(digits) && match.startsWith('00')) return own >= 8;
  if (own > MAX_NATIONAL) return false;
  const named = PHONE_WORDS.test(context);
  const extended = /ext|x/i.test(match);
  if (
    /^\(?[2-9]\d{2}\)?[-. ]{1,2}\d{3}[-. ]\d{4}/.test(match) ||
    /^1[-. ]\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}/.test(match)
  )
    return true;
  if (/^\(\d{2,5}\)[ -]?\d/.test(match) && length >= 8 && length <= 12) return true;
  // A trunk zero and groups, as most of Europe, Asia and Oceania write it.
  if (/^0\d{1,5}[-/. ]/.test(match) && length >= 8 && length <= 12) return true;
  if (/^0\d{9,10}$/.test(match)) return true;
  if (extended) return true;
  if (named) return !LICENSE.test(context);
  // Groups of three are thousands too, so these must stand where no unit or thing follows.
  if (GROUPED.test(match) && length >= 8)
    return !THOUSANDS.test(match) || place.alone || (place.last && !AMOUNT.test(context));
  if (NORTH_AMERICAN.test(match)) return place.field;
  const isDotted = /\./.test(match) && /(?:^|\.)\d(?:\.|$)/.test(match);
  return place.alone && !isDotted && length <= 12 && /[ .()-]/.test(match) && !POSTAL.test(match);
}
