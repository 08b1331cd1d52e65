import type { EntityKind } from '#router/guardrails/detectors/pii/tagger/labels.ts';

/** Signs of programs and markup, and digits: no name of a person has one. */
const NO_NAME = /[`{}()[\]<>=|\\_*;$%+#~^@/\d]|::/;
/** Letters of both cases in one word, as programs name things; not Mc, Mac, De, Di, La, Le, Van, Fitz, O and D with an apostrophe. */
const CAMEL = /\p{Ll}\p{Lu}/u;
const NAME_START = /^(?:Ma?c|D[eiu]|L[aeo]|Van|Von|Fitz|O['’]|D['’])(?=\p{Lu})/u;
const NO_ADDRESS = /[`{}<>=|\\;$_~^[\]]|\(\)/;
/** The marks that a line of quoted mail begins with. */
const LINE_MARKS = /\n[>|* ]+/g;
/** Letters and digits in turn: a hash, a key, an identifier. */
const BLOB = /[a-z]\d+[a-z]+\d|\d[a-z]+\d+[a-z]+\d|[^\s,]{32}/i;
const LICENSE_WORDS =
  /licen[cs]|driv|\bdln?\b|permit|f[üu]hrerschein|permis|patente|carnet|rijbewijs|identi|\bid\b|\bclass\b|police|officer/i;
const LICENSE_CONTEXT = 90;

/**
 * Could this be of that kind at all? The tagger weighs words; this looks at the signs in and around them, so that no piece of a
 * program, a hash or a number of something else is taken for personal data. `isListed`: is one of the words in a list of names?
 */
export function isPlausible(
  kind: EntityKind,
  text: string,
  start: number,
  end: number,
  isListed: boolean,
): boolean {
  if (kind === 'person') return isName(text, start, end, isListed);
  if (kind === 'address') return isAddress(text, start, end);
  return kind !== 'license' || isLicense(text, start, end);
}

function isName(text: string, start: number, end: number, isListed: boolean): boolean {
  const name = text.slice(start, end);
  if (NO_NAME.test(name) || !/\p{L}.*\p{L}/su.test(name)) return false;
  if (/[_$\\#]/.test(text[start - 1] ?? '') || /[_=(\\]/.test(text[end] ?? '')) return false;
  // A dot with letters on both sides joins the names of a program.
  if (
    /^\.\p{L}/u.test(text.slice(end, end + 2)) ||
    /\p{L}\.$/u.test(text.slice(Math.max(0, start - 2), start))
  )
    return isListed && /\p{Lu}/u.test(name) && /\s/.test(name);
  if (name.split(/[\s-]+/).some((word) => CAMEL.test(word.replace(NAME_START, '')))) return false;
  return isListed || /\p{Lu}|[^\p{Ll}\p{Lu}\P{L}]/u.test(name);
}

function isAddress(text: string, start: number, end: number): boolean {
  const address = text.slice(start, end).replace(LINE_MARKS, '\n');
  if (NO_ADDRESS.test(address) || !/\p{L}{3}/u.test(address)) return false;
  if (!/\d/.test(address) && !/\p{L}\s+\p{L}|\p{L}{8}/u.test(address)) return false;
  if (/[\p{L}\p{N}_/\\=+-]/u.test(text[start - 1] ?? '') || /[\p{L}\p{N}_=]/u.test(text[end] ?? ''))
    return false;
  return !address.split(/[\s,]+/).some((word) => BLOB.test(word));
}

/** Five digits at least, by themselves, and a word that tells what they are. */
function isLicense(text: string, start: number, end: number): boolean {
  const license = text.slice(start, end);
  if (license.replace(/\D/g, '').length < 5) return false;
  if (/[\p{L}\p{N}_/+-]/u.test(text[start - 1] ?? '') || /[\p{L}\p{N}_/+=]/u.test(text[end] ?? ''))
    return false;
  return LICENSE_WORDS.test(text.slice(Math.max(0, start - LICENSE_CONTEXT), end + LICENSE_CONTEXT / 2));
}
