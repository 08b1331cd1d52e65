/**
 * Trains the PII tagger on sentences made from templates: `node scripts/train-pii-tagger.ts --faker <directory>
 * --cities <cities15000.json> --packages <directory> [--out models/pii-tagger]`. The model card tells where they are from.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import {
  beginOf,
  type EntityKind,
  insideOf,
  kindOf,
  LABEL_COUNT,
  OUTSIDE,
} from '#router/guardrails/detectors/pii/tagger/labels.ts';
import { piiFeaturesOf } from '#router/guardrails/detectors/pii/tagger/pii-features.ts';
import { bestLabels } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';
import { piiTokensOf } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import { encodeTagger } from '#router/guardrails/detectors/pii/tagger/tagger-file.ts';
import { decodeWordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';
import { PII_TEMPLATES, PLAIN_TEMPLATES } from './pii-tagger/templates.ts';
import { type Faker, valueMaker } from './pii-tagger/values.ts';
import { BENIGN_GRAMMAR } from './prompt-guard/benign-grammar.ts';
import { expand, pickOf, seededRandom } from './prompt-guard/grammar.ts';
import { readPackageTexts } from './prompt-guard/package-texts.ts';

const ROWS = 2 ** 16;
const LOCALES = [
  'en',
  'en',
  'en',
  'en_GB',
  'en_AU',
  'en_CA',
  'en_IN',
  'en_NG',
  'de',
  'de_AT',
  'fr',
  'fr_CA',
  'es',
  'es_MX',
  'it',
  'nl',
  'sv',
  'da',
  'nb_NO',
  'fi',
  'pl',
  'cs_CZ',
  'hu',
  'pt_BR',
  'pt_PT',
  'tr',
  'ro',
  'hr',
  'sk',
  'vi',
  'id_ID',
];

const { values: options } = parseArgs({
  options: {
    faker: { type: 'string' },
    cities: { type: 'string' },
    packages: { type: 'string' },
    out: { type: 'string' },
    classes: { type: 'string', default: 'models/prompt-guard/word-classes.bin' },
    count: { type: 'string', default: '60000' },
    epochs: { type: 'string', default: '5' },
  },
});
if (options.faker === undefined || options.cities === undefined || options.packages === undefined)
  throw new Error('--faker, --cities and --packages are needed');

const random = seededRandom(11);
const classes = decodeWordClasses(await readFile(options.classes));
const fakerModule: { allFakers: Record<string, Faker> } = await import(
  pathToFileURL(resolve(options.faker, 'node_modules/@faker-js/faker/dist/index.js')).href
);
const fakers = LOCALES.flatMap((locale) => fakerModule.allFakers[locale] ?? []);
for (const [index, faker] of fakers.entries()) faker.seed(100 + index);
const cityRows = z
  .record(z.string(), z.looseObject({ name: z.string(), population: z.number() }))
  .parse(JSON.parse(await readFile(options.cities, 'utf8')));
const cities = Object.values(cityRows)
  .filter(({ name, population }) => population > 100_000 && /^[\p{Script=Latin} .'-]+$/u.test(name))
  .map(({ name }) => name);
const make = valueMaker(fakers, cities, random);

/**
 * Sentences that people wrote and that name nobody: their only capitals begin a sentence. They teach that a capital there
 * means nothing, and how prose reads around names.
 */
const prose = (await readPackageTexts(options.packages))
  .filter(({ attack, source }) => !attack && source !== 'advbench')
  .flatMap(({ text }) => text.match(/[^\n.!?]{12,160}[.!?]/g) ?? [])
  .map((sentence) => sentence.trim())
  .filter(
    (sentence) =>
      /^[A-Z][a-z' ]*\s[a-z ,;:'()-]+[.!?]$/.test(sentence) || /^[a-z ,;:'()-]+[.!?]$/.test(sentence),
  );

/** Which kind each value is; those without one are found by other means. */
const KIND_OF: Readonly<Record<string, EntityKind>> = {
  first: 'person',
  last: 'person',
  person: 'person',
  title: 'title',
  organization: 'organization',
  street: 'address',
  address: 'address',
  location: 'location',
  state: 'location',
  state_code: 'location',
  country: 'location',
  zip: 'postal_code',
  nationality: 'nationality',
  date: 'date',
  year: 'date',
  age: 'age',
  license: 'license',
};

type Example = { features: Uint32Array[]; labels: Uint8Array };

function makeText(): { text: string; spans: { start: number; end: number; kind: EntityKind }[] } {
  const plain = random();
  if (plain < 0.2) return { text: pickOf(prose, random), spans: [] };
  const template =
    random() < 0.85
      ? pickOf(PII_TEMPLATES, random)
      : random() < 0.6
        ? pickOf(PLAIN_TEMPLATES, random)
        : expand('<benign>', BENIGN_GRAMMAR, random).replace(/[<>]/g, '');
  // Alternatives first, with the places for values kept.
  let line = template;
  while (/\{[^{}]*\|[^{}]*\}/.test(line))
    line = line.replace(/\{([^{}]*\|[^{}]*)\}/g, (_, body: string) => pickOf(body.split('|'), random));
  line = line.replaceAll('<titled>', random() < 0.7 ? '<title> <last>' : '<title> <first> <last>');
  if (random() < 0.25)
    line = `${line} ${pickOf(PLAIN_TEMPLATES, random).replace(/\{([^{}]*)\}/g, (_, body: string) => pickOf(body.split('|'), random))}`;
  const plainPart = () => pickOf(prose, random).replace(/[<>{}|]/g, '');
  if (random() < 0.2) line = `${plainPart()} ${line}`;
  if (random() < 0.2) line = `${line} ${plainPart()}`;
  let text = '';
  const spans: { start: number; end: number; kind: EntityKind }[] = [];
  let at = 0;
  for (const match of line.matchAll(/<([a-z]+?(?:_code)?)(_lower|_upper)?>/g)) {
    text += line.slice(at, match.index);
    at = match.index + match[0].length;
    const [, name = '', form] = match;
    const draw = Object.entries(make).find(([key]) => key === name)?.[1];
    if (draw === undefined) throw new Error(`no values for ${match[0]}`);
    let value = draw().replace(/\s+$/, '');
    if (form === '_lower') value = value.toLowerCase();
    if (form === '_upper') value = value.toUpperCase();
    const kind = KIND_OF[name];
    if (kind !== undefined) spans.push({ start: text.length, end: text.length + value.length, kind });
    text += value;
  }
  text += line.slice(at);
  const cased = random();
  if (cased < 0.05) text = text.toLowerCase().length === text.length ? text.toLowerCase() : text;
  else if (cased < 0.08) text = text.toUpperCase().length === text.length ? text.toUpperCase() : text;
  return { text, spans };
}

function exampleOf({ text, spans }: ReturnType<typeof makeText>): Example {
  const tokens = piiTokensOf(text);
  const labels = new Uint8Array(tokens.length);
  let started = -1;
  for (const [index, token] of tokens.entries()) {
    const at = spans.findIndex(({ start, end }) => token.start >= start && token.start < end);
    const span = spans[at];
    labels[index] = span === undefined ? OUTSIDE : at === started ? insideOf(span.kind) : beginOf(span.kind);
    started = at;
  }
  return { features: piiFeaturesOf(tokens, classes), labels };
}

const examples = Array.from({ length: Number(options.count) }, () => exampleOf(makeText()));
const held = Array.from({ length: 2_000 }, () => exampleOf(makeText()));
console.error(
  `${examples.length} texts, ${cities.length} cities, ${fakers.length} locales, ${prose.length} plain sentences`,
);

// Weights are kept as their sum over all steps too: the average is what generalises.
const weights = new Float32Array(ROWS * LABEL_COUNT);
const summed = new Float64Array(ROWS * LABEL_COUNT);
const transitions = new Float32Array(LABEL_COUNT * LABEL_COUNT);
const transitionSums = new Float64Array(LABEL_COUNT * LABEL_COUNT);
let steps = 1;

const current = () => ({ weights, scale: 1, transitions });

function update(values: Float32Array, sums: Float64Array, index: number, by: number): void {
  values[index] = (values[index] ?? 0) + by;
  sums[index] = (sums[index] ?? 0) + by * steps;
}

for (let epoch = 0; epoch < Number(options.epochs); epoch++) {
  let wrong = 0;
  for (let count = examples.length; count > 0; count--) {
    const { features, labels } = pickOf(examples, random);
    const guess = bestLabels(current(), features);
    steps++;
    let before = OUTSIDE;
    let guessedBefore = OUTSIDE;
    let missed = false;
    for (const [index, row] of features.entries()) {
      const truth = labels[index] ?? OUTSIDE;
      const guessed = guess[index] ?? OUTSIDE;
      if (truth !== guessed) {
        missed = true;
        for (const feature of row) {
          if (random() < 0.1) continue;
          update(weights, summed, (feature & (ROWS - 1)) * LABEL_COUNT + truth, 1);
          update(weights, summed, (feature & (ROWS - 1)) * LABEL_COUNT + guessed, -1);
        }
      }
      if (truth !== guessed || before !== guessedBefore) {
        update(transitions, transitionSums, before * LABEL_COUNT + truth, 1);
        update(transitions, transitionSums, guessedBefore * LABEL_COUNT + guessed, -1);
      }
      before = truth;
      guessedBefore = guessed;
    }
    if (missed) wrong++;
  }
  console.error(`epoch ${epoch + 1}: ${((100 * wrong) / examples.length).toFixed(1)}% of texts wrong`);
}

const averaged = weights.map((value, index) => value - (summed[index] ?? 0) / steps);
const largest = averaged.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
// The few largest weights are clipped, so that the rest keep their shades.
const scale = (largest * 0.6) / 127;
const tagger = {
  weights: Int8Array.from(averaged, (value) => Math.max(-127, Math.min(127, Math.round(value / scale)))),
  scale,
  transitions: transitions.map((value, index) => value - (transitionSums[index] ?? 0) / steps),
};

let right = 0;
let total = 0;
const perKind = new Map<string, [right: number, total: number]>();
for (const { features, labels } of held) {
  const guess = bestLabels(tagger, features);
  for (const [index, label] of labels.entries()) {
    total++;
    if (guess[index] === label) right++;
    const kind = kindOf(label) ?? 'outside';
    const [good, all] = perKind.get(kind) ?? [0, 0];
    perKind.set(kind, [good + (guess[index] === label ? 1 : 0), all + 1]);
  }
}
console.log(
  JSON.stringify({
    held_out_token_accuracy: right / total,
    by_kind: Object.fromEntries(
      [...perKind].map(([kind, [good, all]]) => [kind, Math.round((1_000 * good) / all) / 1_000]),
    ),
  }),
);
if (options.out !== undefined) await writeFile(join(options.out, 'weights.bin'), encodeTagger(tagger));
