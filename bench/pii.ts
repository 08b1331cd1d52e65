/**
 * PII detection on the labelled sentences of presidio-research, which neither the templates nor the tagger's training
 * saw, beside open npm peers in the same run, which are installed into a cache: `npm run bench -- pii [--data ../shared/data/guardrails/presidio-synth-v2.json] [--smoke]`. A span counts as found where a span of the
 * same group covers it by half (intersection over union). The kinds of place are one group, because the set splits or
 * joins a street, a city and a postal code by its own taste, and spans of a group that touch are joined on both sides: with
 * nothing between them but blanks, commas and the marks that a line of quoted mail begins with.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { PII_KINDS } from '#app/schemas/guardrails.ts';
import { detectPii } from '#router/guardrails/detectors/pii/detect-pii.ts';
import { detectStructuredPii } from '#router/guardrails/detectors/pii/detect-structured.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { describeMachine, printClaim, summarise } from './support/claims.ts';
import { openPiiPeers } from './support/peers/pii-peers.ts';
import {
  type Count,
  IN_A_LINE,
  joined,
  type Span,
  scored,
  sum,
  TOUCHING,
  tally,
  tallyCharacters,
} from './support/span-scores.ts';

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
  const apart = new Map<string, Count>();
  for (const { full_text, spans } of sentences) {
    const labelled = spans.map((span) => ({
      group: GROUP_OF_LABEL[span.entity_type] ?? span.entity_type,
      start: span.start_position,
      end: span.end_position,
    }));
    const detected = detect(full_text);
    const truth = joined(full_text, labelled, TOUCHING);
    const found = joined(full_text, detected, TOUCHING);
    tally(apart, joined(full_text, labelled, IN_A_LINE), joined(full_text, detected, IN_A_LINE));
    tally(counts, truth, found);
  }
  for (const [group, count] of [...counts].sort())
    printClaim({ bench: 'pii', kind: group, ...scored(count) });
  const total = (groups: readonly string[], of = counts) =>
    scored(sum(groups.flatMap((group) => of.get(group) ?? [])));
  printClaim({ bench: 'pii', kind: 'all', ...total([...counts.keys()]), machine });
  printClaim({
    bench: 'pii',
    kind: 'all, each line of quoted mail by itself',
    ...total([...apart.keys()], apart),
  });
  printClaim({ bench: 'pii', kind: 'structured', of: STRUCTURED, ...total(STRUCTURED), machine });

  const text = sentences.map(({ full_text }) => full_text).join(' ');
  const guards: Guard[] = [
    { name: 'bulkhead', find: detect },
    { name: 'bulkhead, kinds with a form alone', find: (message) => detectStructuredPii(message) },
    ...(values.smoke ? [] : await openPiiPeers()),
  ];
  for (const guard of guards) {
    await judge(guard, sentences);
    await time(guard, text, values.smoke ? 20 : 500);
  }
}

type Guard = Readonly<{
  name: string;
  find: (text: string) => Promise<readonly Place[]> | readonly Place[];
}>;
type Place = Readonly<{ start: number; end: number }>;
type Sentence = z.infer<typeof setSchema>[number];

/** Each knows kinds of its own, so all are judged by characters of whatever kind, and by what they find of the kinds with a form. */
async function judge({ name, find }: Guard, sentences: readonly Sentence[]): Promise<void> {
  const all: Count = { found: 0, expected: 0, right: 0 };
  const structured: Count = { found: 0, expected: 0, right: 0 };
  for (const { full_text, spans } of sentences) {
    const found = (await find(full_text)).map(({ start, end }) => ({ group: '', start, end }));
    const labelled = spans.map(({ entity_type, start_position, end_position }) => ({
      group: GROUP_OF_LABEL[entity_type] ?? entity_type,
      start: start_position,
      end: end_position,
    }));
    tallyCharacters(all, labelled, found, full_text.length);
    const formed = labelled.filter(({ group }) => STRUCTURED.includes(group));
    tallyCharacters(structured, formed, found, full_text.length);
  }
  printClaim({
    bench: 'pii',
    guard: name,
    kind: 'any personal data, by character',
    ...scored(all),
    recall_of_structured: scored(structured).recall,
  });
}

async function time({ name, find }: Guard, text: string, count: number): Promise<void> {
  for (const [length, what] of [
    [80, '80 characters'],
    [4_096, '4 KB'],
  ] as const) {
    const message = (index: number) => {
      const at = (index * 977) % Math.max(1, text.length - length);
      return text.slice(at, at + length);
    };
    for (let index = 0; index < 50; index++) await find(message(index));
    const latencies: number[] = [];
    const before = process.cpuUsage();
    for (let index = 50; index < 50 + count; index++) {
      const started = performance.now();
      await find(message(index));
      latencies.push(performance.now() - started);
    }
    const { user, system } = process.cpuUsage(before);
    printClaim({
      bench: 'pii',
      guard: name,
      what: `time of one message of ${what}`,
      cpu_mean_us: Math.round((user + system) / count),
      ...summarise(latencies),
    });
  }
}
