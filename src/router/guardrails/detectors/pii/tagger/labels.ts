import { ENTITY_PII_KINDS } from '#app/schemas/guardrails.ts';

/** What the tagger finds. Kinds with a form are found by form and check digits instead: see `detect-structured.ts`. */
export type EntityKind = (typeof ENTITY_PII_KINDS)[number];

/** Outside, then begin and inside of each kind. */
export const LABEL_COUNT = 1 + ENTITY_PII_KINDS.length * 2;
export const OUTSIDE = 0;
export const beginOf = (kind: EntityKind): number => 1 + ENTITY_PII_KINDS.indexOf(kind) * 2;
export const insideOf = (kind: EntityKind): number => beginOf(kind) + 1;

/** The kind of a label; null for outside. */
export const kindOf = (label: number): EntityKind | null => ENTITY_PII_KINDS[(label - 1) >> 1] ?? null;
export const isBegin = (label: number): boolean => label !== OUTSIDE && label % 2 === 1;

/** May this label follow that one? Inside follows only its own kind. */
export const mayFollow = (before: number, label: number): boolean =>
  label === OUTSIDE || isBegin(label) || before === label || before === label - 1;
