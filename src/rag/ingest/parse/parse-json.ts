import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { blocksBetweenBlankLines, linesOf } from '#rag/ingest/parse/text-lines.ts';

/** A line longer than this has no structure to cut at. */
const LONG_LINE = 1_000;
/** Deeper nesting is indented no further, and from some depth on not broken: the output stays near the input. */
const MAX_INDENT = 4;
const MAX_BROKEN_DEPTH = 12;
/** Tokens are put together in batches: millions of short strings cost far more than their text. */
const BATCH = 4_096;

/**
 * JSON and JSON Lines stay as they are, other than that machine-written long lines are broken after brackets
 * and commas. Values are never touched or evaluated, so invalid JSON is read as well.
 */
export function parseJson(original: string): ParsedDocument {
  let hasLongLine = false;
  for (const { start, end } of linesOf(original)) hasLongLine ||= end - start > LONG_LINE;
  const text = hasLongLine ? breakLines(original) : original;
  return {
    title: null,
    pages: [{ page: null, text, headings: [], blocks: blocksBetweenBlankLines(text, 'code', () => true) }],
  };
}

function breakLines(json: string): string {
  const batches: string[] = [];
  let parts: string[] = [];
  let depth = 0;
  let opensEmpty = false;
  const newLine = () => {
    if (depth <= MAX_BROKEN_DEPTH) parts.push('\n', '  '.repeat(Math.min(depth, MAX_INDENT)));
  };
  for (const token of tokensOf(json)) {
    if (parts.length > BATCH) {
      batches.push(parts.join(''));
      parts = [];
    }
    if (token === '\n') {
      // Between the records of JSON Lines.
      if (depth === 0) parts.push('\n');
      continue;
    }
    const closes = token === '}' || token === ']';
    if (closes) depth = Math.max(0, depth - 1);
    if (closes ? !opensEmpty : opensEmpty) newLine();
    parts.push(token);
    opensEmpty = token === '{' || token === '[';
    if (opensEmpty) depth++;
    else if (token === ',') newLine();
    else if (token === ':') parts.push(' ');
  }
  return batches.join('') + parts.join('');
}

const isPunctuation = (character: string): boolean => '{}[],:'.includes(character);

/** Strings, brackets, commas, colons, line breaks, and runs of anything else; other white space is dropped. */
function* tokensOf(json: string): Generator<string> {
  for (let at = 0; at < json.length; ) {
    const start = at;
    const character = json.charAt(at++);
    if (character === '"') {
      while (at < json.length && json.charAt(at) !== '"') at += json.charAt(at) === '\\' ? 2 : 1;
      yield json.slice(start, ++at);
    } else if (character === '\n' || isPunctuation(character)) yield character;
    else if (character.trim() !== '') {
      while (at < json.length && !isPunctuation(json.charAt(at)) && !/["\s]/.test(json.charAt(at))) at++;
      yield json.slice(start, at);
    }
  }
}
