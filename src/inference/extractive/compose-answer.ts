import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import {
  dot,
  type PlacedUnit,
  type RankedSources,
  type RankedUnit,
} from '#inference/extractive/rank-units.ts';

const SENTENCES = 3;
const SENTENCES_OF_A_LIST = 6;
/** Units below this share of the best one's score would dilute the answer. */
const SHARE_OF_BEST = 0.82;
/** Cosine above which two units say the same. */
const SAME = 0.92;
const LONGEST_CODE = 1_500;
const ITEMS_AFTER_COLON = 10;

/** Questions for several things. */
const ASKS_FOR_A_LIST =
  /\b(?:list|enumerate|name all|all the|what are|which (?:\S+ ){1,4}are|steps|options|ways|kinds|modes)\b/i;

/** The answer's text: quoted units, each followed by the marker of its source; '' when none is fit to be quoted. */
export function composeAnswer(question: string, { ranked, units }: RankedSources): string {
  const limit = ASKS_FOR_A_LIST.test(question) ? SENTENCES_OF_A_LIST : SENTENCES;
  const numbers = new Set(units.map(({ source }) => source.index));
  const fit = ranked.filter((candidate) => isFit(candidate, numbers, units));
  const chosen = chooseUnits(fit, limit);
  const quoted = closeGaps(
    new Set(chosen.flatMap((unit) => withCompany(unit, units, numbers))),
    units,
    numbers,
  );
  const sourcesByScore = [...new Set(chosen.map(({ source }) => source))];
  return sourcesByScore
    .map((source) =>
      renderSource(
        source,
        units.filter((unit) => unit.source === source && quoted.has(unit.position)),
      ),
    )
    .join('\n\n');
}

/**
 * Not fit to be quoted: what holds the number of another source in brackets, as a reader would take it for our
 * marker; an announcement (`as follows:`) whose announced part the passage cut off; and code too long to read.
 */
function isFit(candidate: PlacedUnit, numbers: ReadonlySet<number>, units: readonly PlacedUnit[]): boolean {
  const { unit, source, position } = candidate;
  if (bearsForeignMarker(candidate, numbers)) return false;
  if (unit.kind === 'code') return unit.text.length <= LONGEST_CODE;
  return !endsOpen(candidate) || announced(units, source, position).length > 0;
}

const bearsForeignMarker = ({ unit, source }: PlacedUnit, numbers: ReadonlySet<number>): boolean =>
  [...unit.text.matchAll(/\[(\d{1,3})\]/g)].some(([, digits]) => {
    const number = Number(digits);
    return number !== source.index && numbers.has(number);
  });

function chooseUnits(fit: readonly RankedUnit[], limit: number): RankedUnit[] {
  const best = fit[0]?.score ?? 0;
  const chosen: RankedUnit[] = [];
  for (const candidate of fit) {
    if (chosen.length === limit || candidate.score < SHARE_OF_BEST * best) break;
    if (chosen.some((other) => dot(other.vector, candidate.vector) > SAME)) continue;
    chosen.push(candidate);
  }
  return chosen;
}

const endsOpen = ({ unit }: PlacedUnit): boolean => /:["'*_)\]]*$/.test(unit.text) && unit.kind !== 'code';

/** The code block, list or table that directly follows an announcement. */
function announced(units: readonly PlacedUnit[], source: Citation, position: number): PlacedUnit[] {
  const next = units[position + 1];
  if (next === undefined || next.source !== source || next.unit.kind === 'sentence') return [];
  if (next.unit.kind === 'code') return next.unit.text.length <= LONGEST_CODE ? [next] : [];
  return units
    .slice(position + 1, position + 1 + ITEMS_AFTER_COLON)
    .filter(({ unit }) => unit.block === next.unit.block && unit.kind === next.unit.kind)
    .filter((unit) => unit.source === source);
}

/** Positions of a unit and of what it cannot stand without: what it announces, or what announces it. */
function withCompany(
  chosen: PlacedUnit,
  units: readonly PlacedUnit[],
  numbers: ReadonlySet<number>,
): number[] {
  const { source, position, unit } = chosen;
  const follow = endsOpen(chosen) ? announced(units, source, position) : [];
  const before = units[position - 1];
  const lead = unit.kind === 'code' && before?.source === source && endsOpen(before) ? [before] : [];
  return [...lead, chosen, ...follow]
    .filter((each) => !bearsForeignMarker(each, numbers))
    .map((each) => each.position);
}

/** A single sentence left out between two of one paragraph would tear them apart: it is quoted too. */
function closeGaps(
  quoted: ReadonlySet<number>,
  units: readonly PlacedUnit[],
  numbers: ReadonlySet<number>,
): ReadonlySet<number> {
  const between = units.filter((placed) => {
    const { position, source, unit } = placed;
    const around = [units[position - 1], units[position + 1]];
    return (
      unit.kind === 'sentence' &&
      !bearsForeignMarker(placed, numbers) &&
      around.every(
        (other) => other?.source === source && other.unit.block === unit.block && quoted.has(other.position),
      )
    );
  });
  return new Set([...quoted, ...between.map(({ position }) => position)]);
}

function renderSource(source: Citation, units: readonly PlacedUnit[]): string {
  const marker = `[${source.index}]`;
  let text = '';
  let previous: PlacedUnit | undefined;
  for (const placed of units) {
    const { unit } = placed;
    const together =
      previous?.unit.kind === unit.kind && previous.unit.block === unit.block && unit.kind !== 'code';
    const gap = previous === undefined ? '' : !together ? '\n\n' : unit.kind === 'sentence' ? ' ' : '\n';
    const isAnnounced = previous !== undefined && endsOpen(previous);
    text += gap + renderUnit(placed, marker, together, isAnnounced);
    previous = placed;
  }
  return text;
}

function renderUnit({ unit }: PlacedUnit, marker: string, goesOn: boolean, isAnnounced: boolean): string {
  switch (unit.kind) {
    case 'sentence':
      return `${unit.text} ${marker}`;
    case 'item':
      return `- ${unit.text} ${marker}`;
    case 'row':
      // Inside the last cell, so that the table stays one.
      return `${goesOn || unit.tableHead === '' ? '' : `${unit.tableHead}\n`}${unit.text.replace(/\s*\|$/, ` ${marker} |`)}`;
    case 'code':
      // The sentence that announces it has the marker already.
      return isAnnounced ? unit.text : `${unit.text}\n\n${marker}`;
  }
}
