import { turnOfTenant } from '#app/turn-of-tenant.ts';
import { type ChunkLimits, DEFAULT_CHUNK_LIMITS } from '#rag/ingest/chunk/chunk-limits.ts';
import { type Piece, packSection } from '#rag/ingest/chunk/pack-sections.ts';
import { buildSections, headingPath, type Section } from '#rag/ingest/chunk/section-tree.ts';
import type { Atom } from '#rag/ingest/chunk/split-blocks.ts';
import { splitInHalf, trimSpan } from '#rag/ingest/chunk/text-spans.ts';
import type { ParsedDocument, ParsedPage } from '#rag/ingest/parse/parsed-document.ts';

/** A passage to index. `text` is exactly `page.text.slice(start_offset, end_offset)`; chunks never overlap. */
export type ChunkDraft = {
  ordinal: number;
  text: string;
  /** Outermost first; of a chunk over several sections, the headings that they share. */
  heading_path: string[];
  page: number | null;
  start_offset: number;
  end_offset: number;
  token_count: number;
};

/** How long a document is chunked before the event loop gets its turn, milliseconds. */
const TURN_MS = 8;

/**
 * Cuts a document into passages of about 200 to 400 tokens along its structure. Together they hold all text
 * of its blocks, other than what the tokenizer sees no token in. Runs to the end without giving way.
 */
export function chunkDocument(
  document: ParsedDocument,
  countTokens: (text: string) => number,
  limits: ChunkLimits = DEFAULT_CHUNK_LIMITS,
): ChunkDraft[] {
  const steps = chunkInSteps(document, countTokens, limits);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** As `chunkDocument`, but gives way to the event loop every few milliseconds, and stops when aborted. */
export async function chunkDocumentCooperatively(
  document: ParsedDocument,
  countTokens: (text: string) => number,
  options: { tenantId: string; signal: AbortSignal; limits?: ChunkLimits },
): Promise<ChunkDraft[]> {
  const steps = chunkInSteps(document, countTokens, options.limits ?? DEFAULT_CHUNK_LIMITS);
  let turnStarted = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - turnStarted < TURN_MS) continue;
    options.signal.throwIfAborted();
    await turnOfTenant(options.tenantId);
    options.signal.throwIfAborted();
    turnStarted = performance.now();
  }
}

function* chunkInSteps(
  document: ParsedDocument,
  countTokens: (text: string) => number,
  limits: ChunkLimits,
): Generator<void, ChunkDraft[]> {
  const drafts: ChunkDraft[] = [];
  let open: Section | null = null;
  for (const page of document.pages) {
    const sections: { root: Section; open: Section } = yield* buildSections(page, open, countTokens, limits);
    open = sections.open;
    for (const piece of packSection(sections.root, limits)) {
      for (const draft of draftsOf(page, piece, countTokens, limits)) {
        drafts.push({ ordinal: drafts.length, ...draft });
        yield;
      }
    }
  }
  return drafts;
}

/** One draft, or several when the tokenizer counts the whole above the limit that the sum of its parts kept. */
function* draftsOf(
  page: ParsedPage,
  piece: Piece,
  countTokens: (text: string) => number,
  limits: ChunkLimits,
): Generator<Omit<ChunkDraft, 'ordinal'>> {
  const heading_path = headingPath(piece.section).map((heading) => heading.title);
  yield* check(piece.atoms);

  function* check(atoms: readonly Atom[]): Generator<Omit<ChunkDraft, 'ordinal'>> {
    const start = atoms[0]?.start ?? 0;
    const end = atoms.at(-1)?.end ?? 0;
    const text = page.text.slice(start, end);
    const tokens = atoms.length === 1 ? (atoms[0]?.tokens ?? 0) : countTokens(text);
    if (tokens > limits.maxTokens) {
      const halves = atoms.length > 1 ? halvesOf(atoms) : halvesOfAtom(page.text, atoms[0], countTokens);
      if (halves.length > 0) {
        for (const half of halves) yield* check(half);
        return;
      }
    }
    if (tokens === 0) return;
    yield { text, heading_path, page: page.page, start_offset: start, end_offset: end, token_count: tokens };
  }
}

const halvesOf = (atoms: readonly Atom[]): Atom[][] => [
  atoms.slice(0, atoms.length >>> 1),
  atoms.slice(atoms.length >>> 1),
];

function halvesOfAtom(text: string, atom: Atom | undefined, countTokens: (text: string) => number): Atom[][] {
  if (atom === undefined) return [];
  return [...splitInHalf(text, atom)].flatMap((half) => {
    const span = trimSpan(text, half);
    if (span === null) return [];
    return [[{ ...atom, ...span, tokens: countTokens(text.slice(span.start, span.end)) }]];
  });
}
