import type { ChunkLimits } from '#rag/ingest/chunk/chunk-limits.ts';
import { type Atom, splitBlock } from '#rag/ingest/chunk/split-blocks.ts';
import { trimSpan } from '#rag/ingest/chunk/text-spans.ts';
import type { ParsedPage } from '#rag/ingest/parse/parsed-document.ts';

/** A heading with what stands under it on one page. The root has no heading. */
export type Section = {
  parent: Section | null;
  depth: number;
  heading: { level: number; title: string } | null;
  /** The heading itself and what comes before the first heading below it. */
  atoms: Atom[];
  children: Section[];
};

/** Text outside of blocks that a chunk may hold in its midst, characters. */
const MAX_GAP = 400;

const newSection = (parent: Section | null, heading: Section['heading']): Section => {
  const section = { parent, depth: parent === null ? 0 : parent.depth + 1, heading, atoms: [], children: [] };
  parent?.children.push(section);
  return section;
};

/**
 * The sections of one page. `open` is the innermost section at the end of the page before: a page goes on
 * under the headings of the last one. Yields between steps of work, so that a caller can give way.
 */
export function* buildSections(
  page: ParsedPage,
  open: Section | null,
  countTokens: (text: string) => number,
  limits: ChunkLimits,
): Generator<void, { root: Section; open: Section }> {
  const root = newSection(null, null);
  let current = root;
  for (const inherited of headingPath(open)) current = newSection(current, inherited);

  const { text, headings } = page;
  let nextHeading = 0;
  let lastEnd = 0;
  for (const block of page.blocks) {
    while ((headings[nextHeading]?.offset ?? Number.POSITIVE_INFINITY) < block.start) nextHeading++;
    const heading = headings[nextHeading];
    if (block.kind === 'heading' && heading !== undefined && heading.offset < block.end) {
      while (current.parent !== null && (current.heading?.level ?? 0) >= heading.level)
        current = current.parent;
      current = newSection(current, { level: heading.level, title: heading.title });
    }
    for (const atom of splitBlock(text, block, countTokens, limits)) {
      const gap = trimSpan(text, { start: lastEnd, end: atom.start });
      if (gap !== null && gap.end - gap.start > MAX_GAP) atom.startsRun = true;
      else if (gap !== null) atom.gapTokens = countTokens(text.slice(gap.start, gap.end));
      lastEnd = atom.end;
      current.atoms.push(atom);
      yield;
    }
  }
  return { root, open: current };
}

/** Headings from the outermost to the section's own. */
export function headingPath(section: Section | null): { level: number; title: string }[] {
  const path: { level: number; title: string }[] = [];
  for (let at = section; at !== null; at = at.parent) if (at.heading !== null) path.unshift(at.heading);
  return path;
}

/** The innermost section that both are in. */
export function commonSection(one: Section, other: Section): Section {
  let a = one;
  let b = other;
  while (a !== b) {
    if (a.depth >= b.depth && a.parent !== null) a = a.parent;
    else if (b.parent !== null) b = b.parent;
    else break;
  }
  return a;
}
