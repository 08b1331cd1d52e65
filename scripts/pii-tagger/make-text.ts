import type { EntityKind } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import { pickOf } from './random.ts';

export type Span = Readonly<{ start: number; end: number; kind: EntityKind }>;
export type LabelledSpans = Readonly<{
  text: string;
  spans: readonly Span[];
  /** The kinds that whoever labelled the text looked for. What is outside may be of any other. */
  looked_for: ReadonlySet<EntityKind> | 'all';
}>;

/** Which kind each value is; those without one are found by other means. */
const KIND_OF: Readonly<Record<string, EntityKind>> = {
  first: 'person',
  last: 'person',
  person: 'person',
  title: 'title',
  job: 'title',
  job_title: 'title',
  organization: 'organization',
  street: 'address',
  house: 'address',
  address: 'address',
  location: 'location',
  city: 'location',
  state: 'location',
  state_code: 'location',
  country: 'location',
  zip: 'postal_code',
  nationality: 'nationality',
  people: 'nationality',
  date: 'date',
  day_date: 'date',
  datetime: 'date',
  month_name: 'date',
  month_year: 'date',
  year: 'date',
  age: 'age',
  license: 'license',
};

export type TextParts = Readonly<{
  random: () => number;
  templates: readonly string[];
  plain: readonly string[];
  /** Sentences that people wrote and that name nobody. */
  prose: readonly string[];
  /** The same with places for names: see `prose-templates.ts`. */
  places: readonly ((random: () => number) => string)[];
  make: Readonly<Record<string, () => string>>;
}>;

/** Draws texts of one to three templates, with other sentences around them, in usual and unusual cases. */
export function textMaker({ random, templates, plain, prose, places, make }: TextParts): () => LabelledSpans {
  const chance = (probability: number) => random() < probability;
  /** Alternatives first, with the places for values kept. */
  const chosen = (template: string): string => {
    let line = template;
    while (/\{[^{}]*\|[^{}]*\}/.test(line))
      line = line.replace(/\{([^{}]*\|[^{}]*)\}/g, (_, body: string) => pickOf(body.split('|'), random));
    return line.replaceAll('<titled>', () =>
      pickOf(['<title> <last>', '<title> <last>', '<title> <first> <last>', '<title> <person>'], random),
    );
  };
  const sentence = () =>
    chosen(places.length > 0 && chance(0.04) ? pickOf(places, random)(random) : pickOf(templates, random));
  const plainSentence = () =>
    chance(0.6) ? chosen(pickOf(plain, random)) : pickOf(prose, random).replace(/[<>{}|]/g, '');

  return () => {
    if (chance(0.22)) return fill(chance(0.6) ? plainSentence() : `${plainSentence()}\n${plainSentence()}`);
    let line = sentence();
    const gap = () => (chance(0.8) ? ' ' : '\n');
    if (chance(0.25)) line = `${line}${gap()}${sentence()}`;
    if (chance(0.15)) line = `${plainSentence()}${gap()}${line}`;
    if (chance(0.2)) line = `${line}${gap()}${plainSentence()}`;
    if (chance(0.1)) line = line.replace(/[.!?]$/, '');
    return fill(line);
  };

  function fill(line: string): LabelledSpans {
    let text = '';
    const spans: Span[] = [];
    let at = 0;
    for (const match of line.matchAll(/<([a-z_]+?)(_lower|_upper)?>/g)) {
      text += line.slice(at, match.index);
      at = match.index + match[0].length;
      const [, name = '', form] = match;
      const draw = make[name];
      if (draw === undefined) throw new Error(`no values for ${match[0]}`);
      let value = draw().trim();
      if (form === '_lower') value = value.toLowerCase();
      if (form === '_upper') value = value.toUpperCase();
      const kind = KIND_OF[name];
      if (kind !== undefined) spans.push({ start: text.length, end: text.length + value.length, kind });
      text += value;
    }
    text += line.slice(at);
    const cased = random();
    if (cased < 0.06 && text.toLowerCase().length === text.length) text = text.toLowerCase();
    else if (cased < 0.08 && text.toUpperCase().length === text.length) text = text.toUpperCase();
    return { text, spans, looked_for: 'all' };
  }
}
