import type { ChunkLimits } from '#rag/ingest/chunk/chunk-limits.ts';
import {
  type Span,
  type Splitter,
  splitAtBlankLines,
  splitInHalf,
  splitItems,
  splitLines,
  splitSentences,
  trimCodeSpan,
  trimSpan,
} from '#rag/ingest/chunk/text-spans.ts';
import type { ParsedBlock, ParsedBlockKind } from '#rag/ingest/parse/parsed-document.ts';

/** The smallest unit that is packed into chunks: a block, or a piece of one that is too large. */
export type Atom = {
  start: number;
  end: number;
  /** Of its own text. */
  tokens: number;
  /** Of the text before it that belongs to no block, such as a rule or a link definition. */
  gapTokens: number;
  isHeading: boolean;
  /** So much of that text stands before it that it can't share a chunk with the atom before. */
  startsRun: boolean;
};

type Way = Readonly<{ splitters: readonly Splitter[]; trim: typeof trimSpan; keepsWhole: boolean }>;

/**
 * How each kind is cut when it is too large, gentlest first. Prose is offered as sentences already above the
 * target, because sentences pack better; code, tables and headings stay whole up to the limit.
 */
const WAYS: Readonly<Record<ParsedBlockKind, Way>> = {
  heading: { splitters: [splitSentences], trim: trimSpan, keepsWhole: true },
  paragraph: { splitters: [splitSentences], trim: trimSpan, keepsWhole: false },
  list: { splitters: [splitItems, splitSentences], trim: trimCodeSpan, keepsWhole: false },
  code: { splitters: [splitAtBlankLines, splitLines], trim: trimCodeSpan, keepsWhole: true },
  table: { splitters: [splitLines], trim: trimSpan, keepsWhole: true },
};

/** The atoms of a block, in order. Every character is given to the tokenizer a bounded number of times. */
export function* splitBlock(
  text: string,
  block: ParsedBlock,
  countTokens: (text: string) => number,
  limits: ChunkLimits,
): Generator<Atom> {
  const way = WAYS[block.kind];
  yield* cut(block, 0, way.keepsWhole ? limits.maxTokens : Math.min(limits.targetTokens, limits.maxTokens));

  function* cut(span: Span, level: number, maxTokens: number): Generator<Atom> {
    const trimmed = way.trim(text, span);
    if (trimmed === null) return;
    const { start, end } = trimmed;
    let tokens = Number.POSITIVE_INFINITY;
    if (end - start <= limits.maxCharacters) {
      tokens = countTokens(text.slice(start, end));
      if (tokens <= maxTokens) {
        yield newAtom(start, end, tokens);
        return;
      }
    }
    let pieces = 0;
    for (const piece of (way.splitters[level] ?? splitInHalf)(text, trimmed)) {
      pieces++;
      yield* cut(piece, level + 1, limits.maxTokens);
    }
    // One character that the tokenizer counts above the limit: there is nothing left to cut.
    if (pieces === 0) yield newAtom(start, end, tokens);
  }

  function newAtom(start: number, end: number, tokens: number): Atom {
    return { start, end, tokens, gapTokens: 0, isHeading: block.kind === 'heading', startsRun: false };
  }
}
