import type { ChunkLimits } from '#rag/ingest/chunk/chunk-limits.ts';
import { commonSection, type Section } from '#rag/ingest/chunk/section-tree.ts';
import type { Atom } from '#rag/ingest/chunk/split-blocks.ts';

/** Neighbouring atoms that become one chunk, and the innermost section that holds them all. */
export type Piece = { section: Section; atoms: Atom[]; tokens: number };

/**
 * Packs a section and all below it. A section that fits is one piece; otherwise its own text is cut evenly,
 * each section below starts a new piece, and small neighbours under the same heading are merged.
 */
export function packSection(section: Section, limits: ChunkLimits): Piece[] {
  const whole = collectAtoms(section);
  if (whole.length === 0) return [];
  if (fits(whole, limits)) return [pieceOf(innermost(section), whole)];
  const pieces = packAtoms(section, section.atoms, limits);
  for (const child of section.children) pieces.push(...packSection(child, limits));
  return mergeSmall(pieces, limits);
}

/** The section that holds all text: one with nothing but a heading and a single section below stands aside. */
function innermost(section: Section): Section {
  const [only, second] = section.children;
  const isBare = section.atoms.every((atom) => atom.isHeading);
  return only !== undefined && second === undefined && isBare ? innermost(only) : section;
}

function collectAtoms(section: Section): Atom[] {
  if (section.children.length === 0) return section.atoms;
  const atoms = [...section.atoms];
  for (const child of section.children) for (const atom of collectAtoms(child)) atoms.push(atom);
  return atoms;
}

/** What an atom adds to a chunk. The first one's gap isn't part of it: the sum is never too low for that. */
const size = (atom: Atom): number => atom.tokens + atom.gapTokens;

const sumTokens = (atoms: readonly Atom[]): number => atoms.reduce((sum, atom) => sum + size(atom), 0);

const pieceOf = (section: Section, atoms: Atom[]): Piece => ({ section, atoms, tokens: sumTokens(atoms) });

const length = (first: Atom | undefined, last: Atom | undefined): number =>
  first === undefined || last === undefined ? 0 : last.end - first.start;

const fits = (atoms: readonly Atom[], limits: ChunkLimits): boolean =>
  sumTokens(atoms) <= limits.maxTokens &&
  length(atoms[0], atoms.at(-1)) <= limits.maxCharacters &&
  !atoms.some((atom, index) => index > 0 && atom.startsRun);

/** Cuts atoms into pieces of about the same size, as few as the target allows. */
export function packAtoms(section: Section, atoms: readonly Atom[], limits: ChunkLimits): Piece[] {
  const evenSize = (tokens: number) =>
    tokens / Math.max(1, Math.ceil(tokens / ((limits.targetTokens + limits.maxTokens) / 2)));
  const pieces: Piece[] = [];
  let current: Atom[] = [];
  let tokens = 0;
  let remaining = sumTokens(atoms);
  let goal = evenSize(remaining);
  const close = () => {
    if (current.length > 0) pieces.push({ section, atoms: current, tokens });
    remaining -= tokens;
    goal = evenSize(remaining);
    current = [];
    tokens = 0;
  };
  for (const atom of atoms) {
    const hasRoom =
      !atom.startsRun &&
      tokens + size(atom) <= limits.maxTokens &&
      length(current[0] ?? atom, atom) <= limits.maxCharacters;
    if (!hasRoom || (tokens >= goal && !current.every((each) => each.isHeading))) close();
    current.push(atom);
    tokens += size(atom);
  }
  close();
  evenOutTail(pieces, limits);
  return pieces;
}

/** Moves atoms from the last piece but one into a last piece that is too small. */
function evenOutTail(pieces: Piece[], limits: ChunkLimits): void {
  const last = pieces.at(-1);
  const previous = pieces.at(-2);
  if (last === undefined || previous === undefined) return;
  while (last.tokens < limits.minTokens && previous.atoms.length > 1 && last.atoms[0]?.startsRun === false) {
    const moved = previous.atoms.at(-1);
    if (moved === undefined || previous.tokens - size(moved) < last.tokens + size(moved)) return;
    if (length(moved, last.atoms.at(-1)) > limits.maxCharacters) return;
    previous.atoms.pop();
    previous.tokens -= size(moved);
    last.atoms.unshift(moved);
    last.tokens += size(moved);
  }
}

/** Merges pieces below the minimum with a neighbour that has room: forwards first, what is left backwards. */
function mergeSmall(pieces: readonly Piece[], limits: ChunkLimits): Piece[] {
  const forwards: Piece[] = [];
  for (const piece of pieces) {
    const previous = forwards.at(-1);
    if (previous === undefined || !isSmallPair(previous, piece, limits)) forwards.push(piece);
    else if (canJoin(previous, piece, limits)) forwards.splice(-1, 1, join(previous, piece));
    else if (isBareHeading(previous) && piece.atoms[0]?.startsRun === false) {
      // A heading alone is no passage: let the text below it make room.
      forwards.splice(-1, 1, ...packAtoms(piece.section, [...previous.atoms, ...piece.atoms], limits));
    } else forwards.push(piece);
  }
  const merged: Piece[] = [];
  for (const piece of forwards) {
    const previous = merged.at(-1);
    if (previous !== undefined && piece.tokens < limits.minTokens && canJoin(previous, piece, limits)) {
      merged.splice(-1, 1, join(previous, piece));
    } else merged.push(piece);
  }
  return merged;
}

const isBareHeading = (piece: Piece): boolean => piece.atoms.every((atom) => atom.isHeading);

const isSmallPair = (one: Piece, next: Piece, limits: ChunkLimits): boolean =>
  one.tokens < limits.minTokens ||
  (next.tokens < limits.minTokens && one.tokens + next.tokens <= limits.targetTokens);

const canJoin = (one: Piece, next: Piece, limits: ChunkLimits): boolean =>
  one.tokens + next.tokens <= limits.maxTokens &&
  next.atoms[0]?.startsRun === false &&
  length(one.atoms[0], next.atoms.at(-1)) <= limits.maxCharacters;

const join = (one: Piece, next: Piece): Piece => ({
  section: isBareHeading(one) ? next.section : commonSection(one.section, next.section),
  atoms: [...one.atoms, ...next.atoms],
  tokens: one.tokens + next.tokens,
});
