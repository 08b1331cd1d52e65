import { isIP } from 'node:net';
import type { Finding } from '#router/guardrails/detectors/finding.ts';
import {
  ibanLength,
  isCardOfABrand,
  isIssuedSsn,
  passesIbanCheck,
  passesLuhn,
} from '#router/guardrails/detectors/pii/checksums.ts';
import { TOP_LEVEL_DOMAINS } from '#router/guardrails/detectors/pii/top-level-domains.ts';

/** Characters before a number that tell what it is. */
const CONTEXT_CHARACTERS = 48;

const EMAIL =
  /(?<![\p{L}\p{N}._%+-])[\p{L}\p{N}](?:[\p{L}\p{N}._%+'-]{0,62}[\p{L}\p{N}_+-])?@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,6}\p{L}{2,24}(?![\p{L}\p{N}-])/gu;
const URL = /(?<![A-Za-z0-9])(?:https?|ftp|wss?):\/\/[^\s<>"'`{}|\\^]{3,2048}/gi;
const DOMAIN =
  /(?<![A-Za-z0-9@._/-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}([A-Za-z]{2,18})(?![A-Za-z0-9@(-]|\.[A-Za-z0-9])/g;
const IPV4 = /(?<![\d.A-Za-z])(?:\d{1,3}\.){3}\d{1,3}(?![\dA-Za-z]|\.\d)/g;
const IPV6 =
  /(?<![0-9A-Za-z:.])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![0-9A-Za-z:])/gi;
const IBAN = /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,32}/gi;
/** Digits with single separators: cards, phones and social security numbers are told apart by what they hold. */
const DIGITS =
  /(?<![\p{L}\p{N}_.,$€£#/=-])(?:\+|00)?[ ]?\(?\d(?:[ ]?[-.()/ ]?[ ]?\d){6,24}(?:[ ]{0,1}(?:x|ext\.?|extension)[ ]?\d{1,6})?\)?(?![\p{N}_]|[.,]\d|\p{L})/giu;
/** Card numbers as they are printed: also beside another number, where digits alone do not tell where one ends. */
const PRINTED_CARD =
  /(?<![\p{L}\p{N}_.,$€£#/=-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|\d{4}([ -]?)\d{6}\2\d{4,5})(?![\p{L}\p{N}_])/gu;
const SSN_SHAPE = /^\d{3}([- ]?)\d{2}\1\d{4}$/;

/** PII that its form and its check digits give away. */
export function detectStructuredPii(text: string): Finding[] {
  const findings: Finding[] = [];
  const add = (kind: string, start: number, length: number, confidence: number) => {
    findings.push({ detector: 'pii', kind, start, end: start + length, confidence });
  };
  if (text.includes('@'))
    for (const match of text.matchAll(EMAIL)) add('email', match.index, match[0].length, 0.97);
  if (text.includes('://')) {
    for (const match of text.matchAll(URL)) add('url', match.index, withoutTail(match[0]).length, 0.9);
  }
  if (text.includes('.')) {
    for (const match of text.matchAll(DOMAIN)) {
      if (TOP_LEVEL_DOMAINS.has((match[1] ?? '').toLowerCase()))
        add('url', match.index, match[0].length, 0.7);
    }
    for (const match of text.matchAll(IPV4)) {
      if (isIP(match[0]) === 4 && !/version|firmware|release|\bv$/i.test(contextOf(text, match.index)))
        add('ip_address', match.index, match[0].length, 0.9);
    }
  }
  if (text.includes(':')) {
    for (const match of text.matchAll(IPV6)) {
      if (isIP(match[0]) === 6 && match[0].length > 4) add('ip_address', match.index, match[0].length, 0.9);
    }
  }
  if (!/\d/.test(text)) return findings;
  addIbans(text, add);
  addNumbers(withoutPrintedCards(text, add), add);
  return findings;
}

type Add = (kind: string, start: number, length: number, confidence: number) => void;

const contextOf = (text: string, index: number): string =>
  text.slice(Math.max(0, index - CONTEXT_CHARACTERS), index);

/** Closing marks after an address belong to the sentence. */
const withoutTail = (url: string): string => url.replace(/[.,;:!?)\]}'"]+$/, '');

function addIbans(text: string, add: Add): void {
  IBAN.lastIndex = 0;
  for (let match = IBAN.exec(text); match !== null; match = IBAN.exec(text)) {
    const length = ibanAt(match[0]);
    if (length > 0) add('iban', match.index, length, 0.99);
    // The pattern runs on into what follows, which may be another one.
    IBAN.lastIndex = match.index + Math.max(4, length);
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
  return passesIbanCheck(match.slice(0, end).replace(/[ -]/g, '').toUpperCase()) ? end : 0;
}

/** The text with blanks for the cards that were found. */
function withoutPrintedCards(text: string, add: Add): string {
  return text.replace(PRINTED_CARD, (match, _separator, _other, index: number) => {
    const digits = match.replace(/\D/g, '');
    if (!isCardOfABrand(digits) || !passesLuhn(digits)) return match;
    add('card_number', index, match.length, 0.98);
    return '\u0000'.repeat(match.length);
  });
}

/** More digits than any one number has: numbers beside each other. */
const MAX_DIGITS = 19;

function addNumbers(text: string, add: Add): void {
  for (const match of text.matchAll(DIGITS)) {
    const [number] = match;
    if (number.replace(/\D/g, '').length <= MAX_DIGITS) addNumber(text, number, match.index, add);
    else for (const part of number.matchAll(/\S+/g)) addNumber(text, part[0], match.index + part.index, add);
  }
}

function addNumber(text: string, raw: string, index: number, add: Add): void {
  const lead = /^[ ]*/.exec(raw)?.[0].length ?? 0;
  const match = raw.slice(lead).replace(/[ ]+$/, '');
  const start = index + lead;
  const digits = match.replace(/\D/g, '');
  const context = contextOf(text, start);
  const plain = /^[\d -]+$/.test(match);
  if (plain && digits.length >= 12 && digits.length <= 19 && isCardOfABrand(digits) && passesLuhn(digits)) {
    add('card_number', start, match.length, 0.98);
    return;
  }
  const ssn = SSN_SHAPE.exec(match);
  if (ssn !== null && isIssuedSsn(digits)) {
    const named = /\b(?:ssn|social.{0,3}security|soc\.? ?sec|tax.?id|itin)\b/i.test(context);
    // Nine bare digits are a social security number only where the text says so.
    if (named || ssn[1] === '-') {
      add('ssn', start, match.length, named ? 0.98 : 0.85);
      return;
    }
  }
  if (looksLikePhone(match, digits, context)) add('phone', start, match.length, 0.8);
}

const PHONE_WORDS =
  /(?:phone|tel|telephone|mobile|cell|call|fax|whatsapp|sms|text|dial|ring|contact|number|reach|handy|móvil|teléfono|téléphone|telefon|telefono)\W{0,3}(?:\p{L}+\W{1,3}){0,4}$/iu;
const NOT_PHONE =
  /(?:order|invoice|ticket|case|tracking|isbn|account|acct|policy|id|ref(?:erence)?|serial|model|version|part|article|sku|zip|postal|year|card|license|licence|#|no\.?|nr\.?)\W{0,3}(?:is|number|no\.?|:)?\W{0,3}$/i;
const DATE_SHAPE = /^(?:\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4})(?:\s?\d{1,2})?$/;

/** International with a plus, a national form with its grouping, or any run of digits that is called a phone. */
function looksLikePhone(match: string, digits: string, context: string): boolean {
  const { length } = digits;
  if (length < 7 || length > 17 || DATE_SHAPE.test(match) || NOT_PHONE.test(context)) return false;
  if (/^(\d)\1+$/.test(digits)) return false;
  if (/^(?:\+|00)/.test(match)) return length >= 8 && length <= 16;
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
  return named || extended;
}
