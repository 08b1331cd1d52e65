import type { TextSource } from '#router/guardrails/compile-guardrails.ts';
import {
  actionOf,
  type GuardrailReason,
  type Inspection,
  inspectText,
} from '#router/guardrails/inspect-text.ts';
import { redactionOf, redactSpans } from '#router/guardrails/redact.ts';
import { readInnerJson } from '#router/policy/inner-json.ts';
import { isMedia } from '#router/policy/media-url.ts';

/** Reasons to act on one field of a request. */
export type LocatedReasons = Readonly<{ param: string; reasons: readonly GuardrailReason[] }>;

/** Thrown inside to stop at the first refusal; callers make it the tenant’s answer. */
export class GuardrailRefusal extends Error {
  readonly param: string;
  readonly reason: GuardrailReason;

  constructor(param: string, reason: GuardrailReason) {
    super('A guardrail refuses the content.');
    this.param = param;
    this.reason = reason;
  }
}

/** How text is looked at: {@link inspectText}, or something that remembers what it said. */
export type Inspect = (text: string, source: TextSource) => Generator<void, readonly GuardrailReason[]>;

export const inspectWith =
  (inspection: Inspection): Inspect =>
  (text, source) =>
    inspectText(inspection, text, source);

/** Names such as those of fields and functions. */
const IDENTIFIER = /^[A-Za-z_$][A-Za-z_$-]{0,24}$/;
const NAME_OF_SECRET = /pass|pwd|secret|token|key|credential/i;
/** Numbers that are shorter are no card's, and no telephone's. */
const MIN_DIGITS = 7;
const ITEMS_A_BREAK = 1_024;
/** JSON within JSON within JSON. */
const MAX_DEPTH = 64;

/** A value of a request and where it is. */
type Place = Readonly<{ param: string; source: TextSource; depth: number; isInText: boolean }>;

/**
 * Every text in a value, wherever it is nested, inspected and, where the tenant wants that, redacted. The value is not
 * changed: where something is redacted a copy is returned. Throws {@link GuardrailRefusal}.
 */
export class ValueInspector {
  readonly #inspect: Inspect;
  readonly #isBinary: (text: string, param: string) => boolean;
  /** What was found and did not refuse. */
  readonly found: LocatedReasons[] = [];

  /** `isBinary` tells what is no text, and is not looked at; by default the media of a request’s messages. */
  constructor(inspect: Inspect, isBinary: (text: string, param: string) => boolean = isMedia) {
    this.#inspect = inspect;
    this.#isBinary = isBinary;
  }

  *value(value: unknown, param: string, source: TextSource): Generator<void, unknown> {
    return yield* this.#any(value, { param, source, depth: 0, isInText: false });
  }

  *#any(value: unknown, place: Place): Generator<void, unknown> {
    if (place.depth > MAX_DEPTH) throw new RangeError('The request is nested too deeply to be looked at.');
    if (typeof value === 'string') return yield* this.#string(value, place);
    if (typeof value === 'number') return yield* this.#number(value, place);
    if (Array.isArray(value)) return yield* this.#array(value, place);
    if (typeof value === 'object' && value !== null) return yield* this.#object(value, place);
    return value;
  }

  *#string(text: string, place: Place): Generator<void, string> {
    if (!place.isInText && this.#isBinary(text, place.param)) return text;
    const redacted = yield* this.#text(
      text,
      place,
      text,
      (spans) => redactJson(text, spans) ?? redactSpans(text, spans),
    );
    // Tool arguments are JSON in a string: their escapes hide text.
    const inner = parseJson(redacted);
    if (inner === undefined) return redacted;
    const rewritten = yield* this.#any(inner, { ...place, depth: place.depth + 1, isInText: true });
    return rewritten === inner ? redacted : JSON.stringify(rewritten);
  }

  /** A number may be a card’s; what stands in its place is a string. */
  *#number(value: number, place: Place): Generator<void, unknown> {
    const text = String(value);
    if (text.length < MIN_DIGITS) return value;
    return yield* this.#text<unknown>(text, { ...place, source: 'system' }, value, (spans) =>
      redactSpans(text, spans),
    );
  }

  *#array(values: readonly unknown[], place: Place): Generator<void, readonly unknown[]> {
    const whole = yield* this.#parts(values, place);
    let items: unknown[] | null = null;
    for (let index = 0; index < whole.length; index++) {
      // Lists of numbers are long, and most hold nothing to look at.
      if (index % ITEMS_A_BREAK === ITEMS_A_BREAK - 1) yield;
      const item = whole[index];
      if (isBare(item)) continue;
      const rewritten = yield* this.#any(item, {
        ...place,
        param: `${place.param}.${index}`,
        depth: place.depth + 1,
      });
      if (rewritten === item) continue;
      items ??= [...whole];
      items[index] = rewritten;
    }
    return items ?? whole;
  }

  /** Text parts of one content, as the engine will read them: joined. */
  *#parts(values: readonly unknown[], place: Place): Generator<void, readonly unknown[]> {
    if (!hasTextParts(values)) return values;
    const texts = values.map((part) => (isTextPart(part) ? part.text : ''));
    if (texts.filter((text) => text !== '').length < 2) return values;
    const joined = texts.join('');
    return yield* this.#text<readonly unknown[]>(joined, place, values, (spans) => {
      const places = placesOf(texts, spans);
      return values.map((part, index) => {
        const own = places[index] ?? [];
        return own.length === 0 || !isTextPart(part) ? part : { ...part, text: redactSpans(part.text, own) };
      });
    });
  }

  *#object(value: object, place: Place): Generator<void, object> {
    let changed = false;
    const entries: [string, unknown][] = [];
    for (const [name, item] of Object.entries(value)) {
      const inside: Place = {
        ...place,
        param: `${place.param}.${IDENTIFIER.test(name) ? name : '*'}`,
        depth: place.depth + 1,
      };
      if (!IDENTIFIER.test(name)) yield* this.#name(name, place);
      let rewritten = yield* this.#any(item, inside);
      if (typeof rewritten === 'string' && NAME_OF_SECRET.test(name))
        rewritten = yield* this.#named(name, rewritten, inside);
      changed ||= rewritten !== item;
      entries.push([name, rewritten]);
    }
    return changed ? Object.fromEntries(entries) : value;
  }

  /** A property’s name cannot be rewritten without breaking what reads it: where it would be redacted it is refused. */
  *#name(name: string, place: Place): Generator<void, void> {
    const reasons = yield* this.#inspect(name, 'system');
    const [reason] = reasons.filter(({ action }) => action === 'redact' || action === 'refuse');
    if (reason !== undefined) throw new GuardrailRefusal(place.param, { ...reason, action: 'refuse' });
    if (reasons.length > 0) this.found.push({ param: place.param, reasons });
  }

  /** `{ "password": "…" }`: the name tells what the value is. */
  *#named(name: string, value: string, place: Place): Generator<void, string> {
    const lead = `${name}: "`;
    const reasons = yield* this.#inspect(`${lead}${value}"`, 'system');
    const own = reasons
      .filter(({ start, end }) => start >= lead.length && end <= lead.length + value.length)
      .map((reason) => ({ ...reason, start: reason.start - lead.length, end: reason.end - lead.length }));
    return this.#decide(own, place, value, (spans) => redactSpans(value, spans));
  }

  *#text<Result>(
    text: string,
    place: Place,
    unchanged: Result,
    redact: (spans: readonly GuardrailReason[]) => Result,
  ): Generator<void, Result> {
    const reasons = yield* this.#inspect(text, place.source);
    // An attack cannot be cut out of a text: all of the text goes.
    const whole = reasons.map((reason) =>
      reason.detector === 'prompt_injection' ? { ...reason, start: 0, end: text.length } : reason,
    );
    return this.#decide(whole, place, unchanged, redact);
  }

  #decide<Result>(
    reasons: readonly GuardrailReason[],
    { param }: Place,
    unchanged: Result,
    redact: (spans: readonly GuardrailReason[]) => Result,
  ): Result {
    if (reasons.length === 0) return unchanged;
    const action = actionOf(reasons);
    const refusing = reasons.find((reason) => reason.action === 'refuse');
    if (refusing !== undefined) throw new GuardrailRefusal(param, refusing);
    this.found.push({ param, reasons });
    return action === 'redact' ? redact(reasons.filter((reason) => reason.action === 'redact')) : unchanged;
  }
}

/** Nothing that could hold a finding. */
const isBare = (value: unknown): boolean =>
  typeof value === 'number'
    ? String(value).length < MIN_DIGITS
    : typeof value === 'boolean' || value === null || value === undefined;

function hasTextParts(values: readonly unknown[]): boolean {
  for (const value of values) if (isTextPart(value)) return true;
  return false;
}

/** JSON inside a text. Of what is too much to look at value by value, the text itself has been read without its escapes. */
export function parseJson(text: string): object | undefined {
  const inner = readInnerJson(text);
  return inner !== null && 'value' in inner ? inner.value : undefined;
}

/** JSON with spans redacted that is JSON again, or null: a span may be a bare number, or end outside its string. */
function redactJson(text: string, spans: readonly GuardrailReason[]): string | null {
  if (parseJson(text) === undefined) return null;
  const within = redactSpans(text, spans);
  if (parseJson(within) !== undefined) return within;
  const quoted = redactSpans(text, spans, (kind) => `"${redactionOf(kind)}"`);
  if (parseJson(quoted) !== undefined) return quoted;
  return JSON.stringify({ redacted: redactionOf(spans[0]?.kind ?? 'content') });
}

/**
 * For each of the texts, the spans of all of them joined that touch it, by its own places. Each span is put to the texts that it
 * touches alone: ten thousand parts with a finding each would take a hundred million comparisons.
 */
function placesOf(
  texts: readonly string[],
  spans: readonly GuardrailReason[],
): (readonly GuardrailReason[])[] {
  const places: GuardrailReason[][] = texts.map(() => []);
  const ordered = [...spans].sort((a, b) => a.start - b.start);
  let first = 0;
  let firstStart = 0;
  for (const span of ordered) {
    // Spans come in order, so texts that end before this one begins are done with.
    for (; first < texts.length && firstStart + (texts[first]?.length ?? 0) <= span.start; first++)
      firstStart += texts[first]?.length ?? 0;
    let start = firstStart;
    for (let index = first; index < texts.length && start < span.end; index++) {
      const length = texts[index]?.length ?? 0;
      if (start + length > span.start) {
        const own = {
          start: Math.max(0, span.start - start),
          end: Math.min(start + length, span.end) - start,
        };
        places[index]?.push({ ...span, ...own });
      }
      start += length;
    }
  }
  return places;
}

const isTextPart = (part: unknown): part is { text: string } =>
  typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string';
