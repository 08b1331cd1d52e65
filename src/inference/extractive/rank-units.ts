import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { stemsOf } from '#inference/extractive/question-terms.ts';
import { splitUnits, type Unit } from '#inference/extractive/split-units.ts';
import { type TermWeights, weighTerms } from '#inference/extractive/term-weights.ts';

/** A unit in its place: reading order over all sources. */
export type PlacedUnit = { unit: Unit; source: Citation; position: number };

/** A unit with what makes it an answer. Scores are 0 to 1. */
export type RankedUnit = PlacedUnit & {
  /** Cosine of question and unit. */
  similarity: number;
  /** Share of the question's terms, by weight, in the unit itself and, at half weight, in the headings above it. */
  coverage: number;
  /** Nearness to the question, by meaning and by words. */
  relevance: number;
  /** Relevance, and what else makes a good answer: its neighbours, a figure where one is asked for. */
  score: number;
  vector: Float32Array;
};

export type RankedSources = {
  /** Best first. */
  ranked: RankedUnit[];
  /** All units in reading order. */
  units: readonly PlacedUnit[];
  /** The best share of the question's terms, by weight, that a single source holds. */
  sourceCoverage: number;
  /** The question names something (`Kafka`, `keepAliveTimeout`, `JVM`) that no source mentions. */
  namesTheUnknown: boolean;
};

/** Units that are embedded a turn, at most: each costs about 2 ms on two cores. */
const UNITS_EMBEDDED = 16;
/** The first units of the best sources are embedded even when they share no word with the question. */
const OPENING = { sources: 3, units: 2, bonus: 0.3 };
/** Of a unit, the start is enough to tell what it is about. */
const CHARACTERS_EMBEDDED = 240;
const SIMILARITY_WEIGHT = 0.7;
const COVERAGE_WEIGHT = 0.3;
/** An answer is often the sentence beside the one that repeats the question's words. */
const NEIGHBOUR_WEIGHT = 0.2;

/** A question for a quantity, a default, a date or a version is answered by a unit with a figure in it. */
const ASKS_FOR_A_FIGURE =
  /\b(?:how (?:many|much|long|often|large|big|old|far|fast|high)|default|maximum|minimum|when|what (?:size|number|version|port|date|year)|which (?:version|port|date|year))\b/i;
const FIGURE_BONUS = 0.1;

/** Ranks the sources' units by nearness to the question: first by words, then the best of those by meaning too. */
export async function rankUnits(
  question: string,
  sources: readonly Citation[],
  embedder: Embedder,
  { tenantId, signal }: Readonly<{ tenantId: string; signal: AbortSignal }>,
): Promise<RankedSources> {
  const units = sources
    .flatMap((source) => splitUnits(source.text).map((unit) => ({ unit, source })))
    .map((placed, position) => ({ ...placed, position }));
  const stems = units.map(({ unit }) => new Set(stemsOf(unit.text)));
  const weights = weighTerms(question, stems);

  const shortlist = shortlistUnits(units, stems, weights, sources);
  const [query, vectors] = await Promise.all([
    embedder.embedQuery(question, signal, { tenantId }),
    embedder.embedPassages(shortlist.map(textToEmbed), signal, { urgent: true, tenantId }),
  ]);
  const figureBonus = ASKS_FOR_A_FIGURE.test(question) ? FIGURE_BONUS : 0;
  const scored = shortlist.map((placed, i) => {
    const vector = vectors[i] ?? new Float32Array(query.length);
    const similarity = Math.max(0, dot(query, vector));
    const relevance = SIMILARITY_WEIGHT * similarity + COVERAGE_WEIGHT * placed.coverage;
    const score = relevance + (hasFigure(placed) ? figureBonus : 0);
    return { ...placed, vector, similarity, relevance, score };
  });
  const stemsOfSources = sources.map((source) => new Set([...stemsOf(source.text), ...stemsAbove(source)]));
  return {
    ranked: shareWithNeighbours(scored).sort((a, b) => b.score - a.score),
    units,
    sourceCoverage: Math.max(
      0,
      ...stemsOfSources.map((held) => weights.coverage((term) => (held.has(term) ? 1 : 0))),
    ),
    namesTheUnknown: namesIn(question, embedder).some(
      (name) => !sources.some((source, i) => mentions(name, source, stemsOfSources[i] ?? NO_STEMS)),
    ),
  };
}

const NO_STEMS: ReadonlySet<string> = new Set();

type Shortlisted = PlacedUnit & { coverage: number };

function shortlistUnits(
  units: readonly PlacedUnit[],
  stems: readonly ReadonlySet<string>[],
  weights: TermWeights,
  sources: readonly Citation[],
): Shortlisted[] {
  const rankOf = new Map(sources.map((source, rank) => [source, rank]));
  const aboveSource = new Map(sources.map((source) => [source, new Set(stemsAbove(source))]));
  const seen = new Map<Citation, number>();
  return units
    .map((placed) => {
      const { unit, source, position } = placed;
      const own = stems[position];
      const heading = new Set(stemsOf(unit.heading));
      const above = (term: string): boolean =>
        heading.has(term) || aboveSource.get(source)?.has(term) === true;
      const coverage = weights.coverage((term) => (own?.has(term) ? 1 : above(term) ? 0.5 : 0));
      const rank = rankOf.get(source) ?? sources.length;
      const place = seen.get(source) ?? 0;
      seen.set(source, place + 1);
      const opens = rank < OPENING.sources && place < OPENING.units;
      const order = coverage + 0.2 / (1 + rank) + (opens ? OPENING.bonus : 0);
      return { ...placed, coverage, order };
    })
    .sort((a, b) => b.order - a.order)
    .slice(0, UNITS_EMBEDDED);
}

function shareWithNeighbours(scored: readonly RankedUnit[]): RankedUnit[] {
  const byPosition = new Map(scored.map((unit) => [unit.position, unit]));
  return scored.map((unit) => {
    const beside = [unit.position - 1, unit.position + 1]
      .map((position) => byPosition.get(position))
      .filter((other) => other?.source === unit.source && other.unit.heading === unit.unit.heading);
    const best = Math.max(0, ...beside.map((other) => other?.score ?? 0));
    return { ...unit, score: (unit.score + NEIGHBOUR_WEIGHT * best) / (1 + NEIGHBOUR_WEIGHT) };
  });
}

const stemsAbove = ({ title, heading_path }: Citation): string[] =>
  stemsOf(`${title} ${heading_path.join(' ')}`);

/** The unit under its heading, which often holds the subject that the sentence itself calls `it`. */
function textToEmbed({ unit, source }: PlacedUnit): string {
  const heading = unit.heading === '' ? (source.heading_path.at(-1) ?? source.title) : unit.heading;
  const head = unit.tableHead.split('\n')[0] ?? '';
  return `${heading}: ${head} ${unit.text}`
    .slice(0, 4 * CHARACTERS_EMBEDDED)
    .replace(/\]\([^)]*\)/g, ']')
    .replace(/<[^>]*>|[`*|[\]]/g, ' ')
    .replace(/\s+/g, ' ')
    .slice(0, CHARACTERS_EMBEDDED);
}

/** A digit that is not part of a link's target. */
const hasFigure = ({ unit }: PlacedUnit): boolean =>
  unit.kind !== 'code' && /\d/.test(unit.text.replace(/\]\([^)]*\)|https?:\S+/g, ''));

/**
 * Words that are names rather than English: the tokenizer has no word for them and puts them together from
 * pieces. Plain words, which a document may say otherwise (`hide` for `redact`), are one piece and not counted.
 */
function namesIn(question: string, embedder: Embedder): string[] {
  return [...question.matchAll(/[\p{L}\p{N}_]{3,}/gu)]
    .map(([word]) => word)
    .filter((word) => embedder.countTokens(word.replace(/s$/, '')) > 1);
}

/**
 * Whether a source names the name. Of an identifier all the parts must stand together, in one word or in several:
 * `bodyLimit` is `body limit` too, but not any body and any limit.
 */
function mentions(name: string, source: Citation, stems: ReadonlySet<string>): boolean {
  const parts = name.split(/_+|(?<=\p{Ll})(?=\p{Lu})/u).filter((part) => part !== '');
  if (parts.length < 2) return stemsOf(name).some((term) => stems.has(term));
  const text = `${source.title} ${source.heading_path.join(' ')} ${source.text}`
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ');
  return text.includes(parts.join('').toLowerCase()) || text.includes(parts.join(' ').toLowerCase());
}

/** The cosine of two unit vectors. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
