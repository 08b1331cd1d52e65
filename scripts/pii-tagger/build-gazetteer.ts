import {
  BEGINS_LONGER,
  GAZETTEER_TYPES,
  type GazetteerType,
  MAX_GAZETTEER_WORDS,
  withNextWord,
} from '#router/guardrails/detectors/pii/tagger/gazetteer.ts';
import { piiTokensOf } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';
import {
  COMPANIES,
  COMPANY_ENDS,
  COMPANY_NOUNS,
  COUNTRIES,
  DAYS,
  HONORIFICS,
  MONTHS,
  NATIONALITIES,
  PLURAL_PEOPLES,
  STATES,
  STREET_TYPES,
} from './lists.ts';
import type { Faker } from './values.ts';

/** More than any locale has: every name comes up. */
const DRAWS = 12_000;
/** Rarer families are met in training as unknown words, as they will be in use. */
const CENSUS_LAST_NAMES = 50_000;

/** Bits by hash for all lists. Words of one or two letters say nothing. */
export function buildGazetteer(sources: {
  fakers: readonly Faker[];
  census: Readonly<{ first: readonly string[]; last: readonly string[] }>;
  /** More names, of more countries. */
  people: Readonly<{ first: readonly string[]; last: readonly string[] }>;
  cities: readonly string[];
  towns: readonly string[];
  companies: readonly string[];
  organizationWords: readonly string[];
  jobWords: readonly string[];
  /** Which names the lists may have: those of the development split are in none while it is judged by. */
  has: (name: string) => boolean;
}): Map<number, number> {
  const entries = new Map<number, number>();
  const add = (type: GazetteerType, name: string) => {
    const { count, words, ends, starts } = piiTokensOf(name.replace(/\.$/, ''));
    if (count === 0 || count > MAX_GAZETTEER_WORDS) return;
    if (count === 1 && (ends[0] ?? 0) - (starts[0] ?? 0) < 2) return;
    let hash = (words[0] ?? 0) >>> 0;
    if (count > 1) entries.set(hash, (entries.get(hash) ?? 0) | BEGINS_LONGER);
    for (let index = 1; index < count; index++) hash = withNextWord(hash, words[index] ?? 0);
    entries.set(hash, (entries.get(hash) ?? 0) | (1 << GAZETTEER_TYPES.indexOf(type)));
  };
  const addIfKept = (type: GazetteerType, name: string) => {
    if (sources.has(name)) add(type, name);
  };
  const drawn = { first: new Set<string>(), last: new Set<string>() };
  for (const faker of sources.fakers) {
    for (let index = 0; index < DRAWS; index++) {
      drawn.first.add(faker.person.firstName());
      drawn.last.add(faker.person.lastName());
    }
  }
  for (const name of drawn.first) addIfKept('first_name', name);
  for (const name of drawn.last) addIfKept('last_name', name);
  for (const name of sources.census.first) addIfKept('first_name', name);
  for (const name of sources.census.last.slice(0, CENSUS_LAST_NAMES)) addIfKept('last_name', name);
  for (const name of sources.people.first) addIfKept('first_name', name);
  for (const name of sources.people.last) addIfKept('last_name', name);
  for (const name of sources.cities) addIfKept('city', name);
  for (const name of sources.towns) addIfKept('town', name);
  for (const name of sources.companies) addIfKept('company', name);
  for (const name of COMPANIES) add('company', name);
  for (const name of COUNTRIES) add('country', name);
  for (const name of STATES) add('state', name);
  for (const name of [...NATIONALITIES, ...PLURAL_PEOPLES]) add('nationality', name);
  for (const name of [...COMPANY_ENDS, ...COMPANY_NOUNS]) add('company_word', name);
  for (const name of sources.organizationWords) add('organization_word', name);
  for (const name of STREET_TYPES) add('street_word', name);
  for (const name of FOREIGN_STREET_WORDS) add('street_word', name);
  for (const name of HONORIFICS) add('honorific', name);
  for (const name of sources.jobWords) add('job', name);
  for (const name of [...MONTHS, ...DAYS]) add('month', name);
  return entries;
}

const FOREIGN_STREET_WORDS =
  'strasse straße str weg platz allee gasse rue avenue boulevard chemin calle avenida avda plaza paseo camino via viale corso piazza vicolo rua travessa praça utca út tér ulica ul cesta strada sokak caddesi jalan jl marg nagar gatan vägen vej gade gata straat laan plein katu tie box suite apt unit flat floor'.split(
    ' ',
  );
