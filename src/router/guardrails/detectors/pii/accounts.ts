import {
  ibanLength,
  isCardOfABrand,
  isIssuedSsn,
  passesIbanCheck,
  passesLuhn,
} from '#router/guardrails/detectors/pii/checksums.ts';
import { type Add, contextOf } from '#router/guardrails/detectors/pii/detect-structured.ts';

const IBAN = /(?:(?<![A-Za-z0-9])|(?<=\bIBAN))[A-Z]{2}\d{2}(?:[ .+-]{0,2}[A-Z0-9]){11,32}/gi;
/** Card numbers as they are printed: also beside another number, where digits alone do not tell where one ends. */
const PRINTED_CARD =
  /(?<![\p{L}\p{N}]|(?:\p{N}|^)[.,])(?:\d{4}([ .\-_/+]{0,2})\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|\d{4}([ .\-_/+]{0,2})\d{6}\2\d{4,5})(?![\p{L}\p{N}])/gu;
/** A word and a card number without a blank between: `card4111…`. */
const LONG_RUN = /\d{15}/;
const GLUED_CARD = /(?<![\p{L}\p{N}])\p{L}{1,12}(\d{15,16})\p{L}{0,4}(?![\p{L}\p{N}])/gu;
const SSN = /(?<![\p{L}\p{N}]|\p{N}[-.,/ ]|[$€£])\d{3}([-. /]?)\d{2}\1\d{4}(?![\p{L}\p{N}]|[-.,/]\p{N})/gu;
const SSN_WORDS = /(?<![a-z])(?:ssn|social.{0,3}security|soc\.? ?sec|tax.?id|itin)(?![a-z])/i;
/** What stands before numbers that are parts of something else. */
const PART_BEFORE = /[_#-]$|\d\/$/;

/** IBANs, cards and social security numbers. Gives the text with blanks for the cards, which are no phones. */
export function* addAccounts(text: string, add: Add): Generator<void, string> {
  yield* addIbans(text, add);
  const rest = withoutCards(text, add);
  for (const { 0: match, 1: separator, index } of rest.matchAll(SSN)) {
    if (!isIssuedSsn(match.replace(/\D/g, ''))) continue;
    const context = contextOf(rest, index);
    const isNamed = SSN_WORDS.test(context);
    // Nine digits without their dashes are a social security number only where the text says so.
    if (isNamed || (separator === '-' && !PART_BEFORE.test(context)))
      add('ssn', index, match.length, isNamed ? 0.98 : 0.85);
  }
  return rest;
}

/** Beginnings of account numbers that are looked at before a break: a millisecond or two. */
const IBANS_A_STEP = 512;

function* addIbans(text: string, add: Add): Generator<void, void> {
  let at = 0;
  for (let count = 1; ; count++) {
    // Between two breaks the same pattern may look at another text.
    IBAN.lastIndex = at;
    const match = IBAN.exec(text);
    if (match === null) return;
    if (count % IBANS_A_STEP === 0) yield;
    const length = ibanAt(match[0]);
    if (length > 0) add('iban', match.index, length, 0.99);
    // The pattern runs on into what follows, which may be another one.
    at = match.index + Math.max(4, length);
  }
}

/** How long the IBAN is that the text begins with: the country says it. 0 where it is none. */
function ibanAt(match: string): number {
  const length = ibanLength(match.slice(0, 2).toUpperCase());
  if (length === undefined) return 0;
  let taken = 0;
  let end = 0;
  while (end < match.length && taken < length) {
    if (/[A-Za-z0-9]/.test(match[end] ?? '')) taken++;
    end++;
  }
  if (taken < length || /[A-Za-z0-9]/.test(match[end] ?? '')) return 0;
  const iban = match.slice(0, end).replace(/[^A-Za-z0-9]/g, '');
  return passesIbanCheck(iban.toUpperCase()) ? end : 0;
}

/** The text with blanks for the cards that were found. */
function withoutCards(text: string, add: Add): string {
  const blanked = text.replace(PRINTED_CARD, (match, _separator, _other, index: number) => {
    const digits = match.replace(/\D/g, '');
    if (!isCardNumber(digits, contextOf(text, index))) return match;
    add('card_number', index, match.length, 0.98);
    return '\u0000'.repeat(match.length);
  });
  if (!LONG_RUN.test(blanked)) return blanked;
  return blanked.replace(GLUED_CARD, (match, digits: string, index: number) => {
    if (!passesLuhn(digits) || !isCardOfABrand(digits)) return match;
    add('card_number', index + match.indexOf(digits), digits.length, 0.9);
    return '\u0000'.repeat(match.length);
  });
}

const CARD_WORDS =
  /(?:card|visa|master ?card|amex|american express|maestro|diners|jcb|discover|karte|carte|tarjeta|carta)/i;
/** What else is counted with as many digits. */
const COUNTED =
  /(?:order|invoice|ticket|case|tracking|isbn|ean|gtin|upc|imei|account|acct|policy|id|ref(?:erence)?|serial|model|version|part|article|sku|timestamp|time)\W{0,3}(?:is|number|no\.?|:)?\W{0,3}$/i;

/**
 * Check digit, and a network's own digits; of other networks (ISO/IEC 7812 gives 3 to 6 to travel, banks and shops), where the
 * text speaks of a card or nothing else that is counted.
 */
export function isCardNumber(digits: string, context: string): boolean {
  if (digits.length < 12 || digits.length > 19 || !passesLuhn(digits) || /^(\d)\1+$/.test(digits))
    return false;
  if (isCardOfABrand(digits) || CARD_WORDS.test(context)) return true;
  return /^[3-6]\d{14,15}$/.test(digits) && !COUNTED.test(context);
}
