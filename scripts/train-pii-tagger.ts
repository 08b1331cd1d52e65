/**
 * Trains the PII tagger on sentences made from templates and on annotated texts: `node scripts/train-pii-tagger.ts --faker
 * <directory> --cities <cities15000.json> --towns <cities1000.json> --brands <nsi.min.json> --universities <json> --census <directory> --companies <csv,…> --jobs <titles.txt.gz> --annotated <conll,…>
 * --packages <directory> --technical <directory> [--out models/pii-tagger | --judge weights.bin] [--show <count>]`. The model card
 * tells where they are from. What the options are left out of is the recipe. It prints the checksums of what it made, and ends with
 * how well the development split is found: sentences, names, texts and files of our own that training never sees, and the only
 * thing that anything here is chosen by.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeGazetteer, encodeGazetteer } from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
import { createPiiTagger } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';
import { decodeTagger, encodeTagger } from '#router/guardrails/detectors/pii/tagger/tagger-file.ts';
import { decodeWordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';
import { readAnnotated } from './pii-tagger/annotated.ts';
import { buildGazetteer } from './pii-tagger/build-gazetteer.ts';
import { isHeldOut, type Part } from './pii-tagger/held-out.ts';
import { jobWordsOf, readJobs } from './pii-tagger/jobs.ts';
import { falseAlarms, judge, mistakesIn } from './pii-tagger/judge.ts';
import { textMaker } from './pii-tagger/make-text.ts';
import { proseTemplates } from './pii-tagger/prose-templates.ts';
import { seededRandom, shuffled } from './pii-tagger/random.ts';
import { organizationWordsOf, readBrands, readUniversities } from './pii-tagger/read-organizations.ts';
import { readProse } from './pii-tagger/read-prose.ts';
import { readCensus, readCities, readCompanies, readPythonFaker } from './pii-tagger/read-sources.ts';
import { readTechnical } from './pii-tagger/read-technical.ts';
import { DEVELOPMENT_PLAIN_TEMPLATES, DEVELOPMENT_TEMPLATES } from './pii-tagger/templates/development.ts';
import { PII_TEMPLATES, PLAIN_TEMPLATES } from './pii-tagger/templates/index.ts';
import { trainPerceptron } from './pii-tagger/train-perceptron.ts';
import { type Faker, valueMaker } from './pii-tagger/values.ts';

const LOCALES =
  'en,en,en,en_US,en_US,en_GB,en_GB,en_AU,en_CA,en_IE,en_ZA,en_IN,en_NG,de,de_AT,de_CH,fr,fr_CA,fr_CH,fr_BE,es,es_MX,it,nl,nl_BE,sv,da,nb_NO,fi,pl,cs_CZ,hu,pt_BR,pt_PT,tr,ro,hr,sk,sl_SI,vi,id_ID,sr_RS_latin,lv'.split(
    ',',
  );
/** Whose source code, notes and logs of changes are read: in `--packages` and in `--technical`. */
const PYTHON_PACKAGES = ['garak', 'giskard', 'lm_eval', 'pyrit'];
const NPM_PACKAGES = ['joi', 'knex', 'lodash', 'mocha', 'moment', 'rxjs', 'webpack', 'winston'];

const { values: options } = parseArgs({
  options: {
    faker: { type: 'string' },
    cities: { type: 'string' },
    towns: { type: 'string' },
    brands: { type: 'string' },
    universities: { type: 'string' },
    census: { type: 'string' },
    companies: { type: 'string' },
    jobs: { type: 'string' },
    annotated: { type: 'string' },
    packages: { type: 'string' },
    technical: { type: 'string' },
    out: { type: 'string' },
    judge: { type: 'string' },
    show: { type: 'string', default: '0' },
    classes: { type: 'string', default: 'models/prompt-guard/word-classes.bin' },
    count: { type: 'string', default: '100000' },
    pieces: { type: 'string', default: '20000' },
    repeat: { type: 'string', default: '1' },
    epochs: { type: 'string', default: '5,3' },
    rows: { type: 'string', default: '200000' },
    least: { type: 'string', default: '3' },
    margin: { type: 'string', default: '1' },
    recall: { type: 'string', default: '0' },
    forget: { type: 'string', default: '0.25' },
    certain: { type: 'string', default: '1000' },
  },
});
// Before the work, not after it.
if (options.out !== undefined) await mkdir(options.out, { recursive: true });

function needed(
  name:
    | 'faker'
    | 'cities'
    | 'towns'
    | 'brands'
    | 'universities'
    | 'census'
    | 'companies'
    | 'jobs'
    | 'annotated'
    | 'packages'
    | 'technical',
): string {
  const value = options[name];
  if (value === undefined) throw new Error(`--${name} is needed`);
  return value;
}

const random = seededRandom(11);
const classes = decodeWordClasses(await readFile(options.classes));
const fakerModule: { allFakers: Record<string, Faker> } = await import(
  pathToFileURL(resolve(needed('faker'), 'node_modules/@faker-js/faker/dist/index.js')).href
);
const fakers = LOCALES.flatMap((locale) => fakerModule.allFakers[locale] ?? []);
const seedFakers = () => {
  for (const [index, faker] of fakers.entries()) faker.seed(100 + index);
};
const cities = await readCities(needed('cities'));
const census = await readCensus(needed('census'), random);
const listed = await readCompanies(needed('companies').split(','));
const brands = await readBrands(needed('brands'));
const universities = await readUniversities(needed('universities'));
const companies = [...new Set([...listed, ...brands, ...universities])];
const towns = await readCities(needed('towns'));
const people = await readPythonFaker(join(needed('packages'), 'faker/faker'));
const jobs = await readJobs(needed('jobs'));
const annotated = await readAnnotated(needed('annotated').split(','));
const prose = await readProse(needed('packages'));

const named = new Set([...census.first, ...census.last.slice(0, 10_000), ...people.first, ...cities]);
const isNamed = (word: string) => named.has(word);

/** The lists as the tagger has them, and as they are while it learns: without the names of the development split. */
const listsWith = (has: (name: string) => boolean) => {
  seedFakers();
  const jobWords = jobWordsOf(jobs);
  return encodeGazetteer(
    buildGazetteer({
      fakers,
      census,
      people,
      cities,
      towns,
      companies,
      organizationWords: organizationWordsOf(companies, isNamed),
      jobWords,
      has,
    }),
  );
};
const shippedLists = listsWith(() => true);
const gazetteer = decodeGazetteer(listsWith((name) => !isHeldOut(name)));
seedFakers();

const listedNames = new Set([...census.first, ...census.last].map((name) => name.toLowerCase()));
const directories = [
  ...PYTHON_PACKAGES.map((name) => join(needed('packages'), name, name)),
  ...NPM_PACKAGES.map((name) => join(needed('technical'), 'node_modules', name)),
];
const isName = (word: string) => listedNames.has(word.toLowerCase());
const piecesOf = (part: Part) => readTechnical({ directories, part, isName, random });
const pieces = shuffled(await piecesOf('training'), random).slice(0, Number(options.pieces));

const places = proseTemplates(prose.filter((sentence) => !isHeldOut(sentence)));
const valuesOf = (part: Part) =>
  valueMaker({
    random,
    fakers,
    census: census.source,
    cities: cities.slice(0, 12_000),
    companies,
    jobs,
    part,
  });
const draw = textMaker({
  random,
  templates: PII_TEMPLATES,
  plain: PLAIN_TEMPLATES,
  prose: prose.filter((sentence) => !isHeldOut(sentence)),
  places,
  make: valuesOf('training'),
});
const texts = [
  ...Array.from({ length: Number(options.count) }, draw),
  ...Array.from({ length: Number(options.repeat) }, () =>
    annotated.filter(({ text }) => !isHeldOut(text)),
  ).flat(),
  ...pieces,
];
console.error(
  `${texts.length} texts, ${annotated.length} of them annotated, ${pieces.length} technical, ${PII_TEMPLATES.length} templates, ${cities.length} cities, ${companies.length} companies, ${jobs.length} occupations, ${prose.length} plain sentences, ${places.length} of them with places for names`,
);

const weights =
  options.judge === undefined
    ? trainPerceptron({
        texts,
        classes,
        gazetteer,
        random: seededRandom(13),
        rows: Number(options.rows),
        least: Number(options.least),
        epochs: [Number(options.epochs.split(',')[0]), Number(options.epochs.split(',')[1])],
        margin: Number(options.margin),
        recall: Number(options.recall),
        forget: Number(options.forget),
        certain: Number(options.certain),
      })
    : decodeTagger(await readFile(options.judge));
const weightsFile = encodeTagger(weights);
const files = { 'gazetteer.bin': shippedLists, 'weights.bin': weightsFile };
for (const [name, bytes] of Object.entries(files)) {
  if (options.out !== undefined) await writeFile(join(options.out, name), bytes);
  console.log(`${createHash('sha256').update(bytes).digest('hex')}  ${name} (${bytes.length} bytes)`);
}

// The development split, drawn by a seed of its own: how much was trained on does not change what is judged by.
const drawn = seededRandom(12);
seedFakers();
const make = valueMaker({
  random: drawn,
  fakers,
  census: (await readCensus(needed('census'), drawn)).source,
  cities: cities.slice(0, 12_000),
  companies,
  jobs,
  part: 'development',
});
const held = { random: drawn, places: [], make, prose: prose.filter(isHeldOut) };
const drawHeld = textMaker({ ...held, templates: DEVELOPMENT_TEMPLATES, plain: DEVELOPMENT_PLAIN_TEMPLATES });
const tagger = createPiiTagger(weights, classes, gazetteer);
const technical = await readTechnical({ directories, part: 'development', isName, random: drawn });
const sentences = Array.from({ length: 5_000 }, drawHeld);
for (const line of mistakesIn(tagger, sentences.slice(0, Number(options.show)))) console.log(line);
console.log(
  JSON.stringify({
    templates: judge(tagger, sentences),
    annotated: judge(
      tagger,
      annotated.filter(({ text }) => isHeldOut(text)),
    ),
    false_alarms_per_1000_words: {
      technical: falseAlarms(tagger, technical),
      prose: falseAlarms(tagger, prose.filter(isHeldOut)),
    },
  }),
);
