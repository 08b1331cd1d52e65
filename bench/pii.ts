/**
 * PII detection on the labelled sentences of presidio-research, which neither the templates nor the tagger's training
 * saw: `npm run bench -- pii [--data ../shared/data/guardrails/presidio-synth-v2.json] [--smoke]`. A span counts as found where a span of the
 * same group covers it by half (intersection over union). The kinds of place are one group, because the set splits or
 * joins a street, a city and a postal code by its own taste, and spans of a group that touch are joined on both sides.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { PII_KINDS } from '#app/schemas/guardrails.ts';
import { detectPii } from '#router/guardrails/detectors/pii/detect-pii.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { describeMachine, printClaim, summarise } from './support/claims.ts';

const setSchema = z.array(
  z.object({
    full_text: z.string(),
    spans: z.array(
      z.object({ entity_type: z.string(), start_position: z.number(), end_position: z.number() }),
    ),
  }),
);

/** The set's labels, in our groups. */
const GROUP_OF_LABEL: Readonly<Record<string, string>> = {
  PERSON: 'person',
  TITLE: 'title',
  ORGANIZATION: 'organization',
  STREET_ADDRESS: 'place',
  GPE: 'place',
  ZIP_CODE: 'place',
  NRP: 'nationality',
  DATE_TIME: 'date',
  AGE: 'age',
  CREDIT_CARD: 'card_number',
  PHONE_NUMBER: 'phone',
  EMAIL_ADDRESS: 'email',
  DOMAIN_NAME: 'url',
  IBAN_CODE: 'iban',
  US_SSN: 'ssn',
  IP_ADDRESS: 'ip_address',
  US_DRIVER_LICENSE: 'license',
};
const GROUP_OF_KIND: Readonly<Record<string, string>> = {
  address: 'place',
  location: 'place',
  postal_code: 'place',
  date_of_birth: 'date',
};
const STRUCTURED = ['card_number', 'phone', 'email', 'url', 'iban', 'ssn', 'ip_address'];

type Span = { group: string; start: number; end: number };
type Count = { found: number; expected: number; right: number };

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: {
        type: 'string',
        default: join(import.meta.dirname, '../../shared/data/guardrails/presidio-synth-v2.json'),
      },
      smoke: { type: 'boolean', default: false },
    },
  });
  const machine = describeMachine();
  if (!existsSync(values.data)) {
    console.error(`SKIPPED: no set to judge by at ${values.data}.`);
    return;
  }
  const all = setSchema.parse(JSON.parse(await readFile(values.data, 'utf8')));
  const sentences = values.smoke ? all.slice(0, 50) : all;
  const { piiTagger } = await loadGuardrailModels();
  const kinds: ReadonlySet<string> = new Set<string>(PII_KINDS.filter((kind) => kind !== 'date_of_birth'));
  const detect = (text: string): Span[] =>
    detectPii(text, kinds, piiTagger).map(({ kind, start, end }) => ({
      group: GROUP_OF_KIND[kind] ?? kind,
      start,
      end,
    }));

  const counts = new Map<string, Count>();
  const characters: Count = { found: 0, expected: 0, right: 0 };
  for (const { full_text, spans } of sentences) {
    const truth = joined(
      full_text,
      spans.map((span) => ({
        group: GROUP_OF_LABEL[span.entity_type] ?? span.entity_type,
        start: span.start_position,
        end: span.end_position,
      })),
    );
    const found = joined(full_text, detect(full_text));
    tally(counts, truth, found);
    tallyCharacters(characters, truth, found, full_text.length);
  }
  for (const [group, count] of [...counts].sort())
    printClaim({ bench: 'pii', kind: group, ...scored(count) });
  const total = (groups: readonly string[]) =>
    scored(sum(groups.flatMap((group) => counts.get(group) ?? [])));
  printClaim({ bench: 'pii', kind: 'all', ...total([...counts.keys()]), machine });
  printClaim({ bench: 'pii', kind: 'structured', of: STRUCTURED, ...total(STRUCTURED), machine });
  printClaim({ bench: 'pii', kind: 'any personal data, by character', ...scored(characters), machine });

  const text = sentences.map(({ full_text }) => full_text).join(' ');
  const latencies: number[] = [];
  for (let index = 0; index < (values.smoke ? 20 : 1_000); index++) {
    const at = (index * 977) % Math.max(1, text.length - 4_096);
    const message = text.slice(at, at + 4_096);
    const started = performance.now();
    detect(message);
    if (values.smoke || index >= 100) latencies.push(performance.now() - started);
  }
  printClaim({ bench: 'pii', what: 'time of one message of 4 KB', ...summarise(latencies), machine });
}

/** Spans of one group with nothing but space and commas between them, as one. */
function joined(text: string, spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = result.findLast(({ group }) => group === span.group);
    if (last !== undefined && /^[\s,]*$/.test(text.slice(last.end, span.start)))
      last.end = Math.max(last.end, span.end);
    else result.push({ ...span });
  }
  return result;
}

function tally(counts: Map<string, Count>, truth: readonly Span[], found: readonly Span[]): void {
  const of = (group: string): Count => {
    const count = counts.get(group) ?? { found: 0, expected: 0, right: 0 };
    counts.set(group, count);
    return count;
  };
  const taken = new Set<Span>();
  for (const span of truth) {
    of(span.group).expected++;
    const match = found.find(
      (other) => !taken.has(other) && other.group === span.group && overlap(span, other) >= 0.5,
    );
    if (match === undefined) continue;
    taken.add(match);
    of(span.group).right++;
  }
  for (const span of found) of(span.group).found++;
}

function tallyCharacters(count: Count, truth: readonly Span[], found: readonly Span[], length: number): void {
  const cover = (spans: readonly Span[]) => {
    const covered = new Uint8Array(length);
    for (const { start, end } of spans) covered.fill(1, start, end);
    return covered;
  };
  const [wanted, given] = [cover(truth), cover(found)];
  for (let index = 0; index < length; index++) {
    count.expected += wanted[index] ?? 0;
    count.found += given[index] ?? 0;
    count.right += (wanted[index] ?? 0) & (given[index] ?? 0);
  }
}

const overlap = (a: Span, b: Span): number =>
  Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start)) /
  (Math.max(a.end, b.end) - Math.min(a.start, b.start));

const sum = (counts: readonly Count[]): Count =>
  counts.reduce(
    (all, { found, expected, right }) => ({
      found: all.found + found,
      expected: all.expected + expected,
      right: all.right + right,
    }),
    { found: 0, expected: 0, right: 0 },
  );

function scored({ found, expected, right }: Count) {
  const three = (value: number) => Math.round(1_000 * value) / 1_000;
  return {
    expected,
    precision: three(right / Math.max(1, found)),
    recall: three(right / Math.max(1, expected)),
    f1: three((2 * right) / Math.max(1, found + expected)),
  };
}
