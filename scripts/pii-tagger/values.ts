import { addressMaker } from './addresses.ts';
import { dateMaker } from './dates.ts';
import { drawOf, isOf, type Part } from './held-out.ts';
import { jobMaker } from './jobs.ts';
import {
  COUNTRIES,
  HONORIFICS,
  MONTHS,
  NATIONALITIES,
  PLURAL_PEOPLES,
  STATE_CODES,
  STATES,
} from './lists.ts';
import { type NameSource, organizationMaker, personMaker } from './people.ts';
import { pickOf } from './random.ts';
import { technicalMaker } from './technical.ts';

/** What is used of @faker-js/faker 10, which is no dependency: training alone needs it. */
export type Faker = Readonly<{
  seed: (seed: number) => unknown;
  person: { firstName: () => string; lastName: () => string };
  location: { city: () => string; street: () => string; streetAddress: () => string; zipCode: () => string };
  company: { name: () => string };
  phone: { number: () => string };
  internet: { email: () => string };
  finance: { creditCardNumber: () => string; iban: () => string };
}>;

export type ValueSources = Readonly<{
  random: () => number;
  fakers: readonly Faker[];
  /** Names of the United States census: more families than any faker has. */
  census: NameSource;
  /** Real ones, of many countries. */
  cities: readonly string[];
  companies: readonly string[];
  jobs: readonly string[];
  /** Whose names to draw. */
  part: Part;
}>;

/** Draws values of every kind that the templates name. */
export function valueMaker({ random, fakers, census, part, ...lists }: ValueSources) {
  const ofPart = (list: readonly string[]) => list.filter(isOf(part));
  const cities = ofPart(lists.cities);
  const companies = ofPart(lists.companies);
  const jobs = ofPart(lists.jobs);
  const faker = () => pickOf(fakers, random);
  const chance = (probability: number) => random() < probability;
  const number = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const digits = (count: number) => Array.from({ length: count }, () => number(0, 9)).join('');
  const letter = () => String.fromCharCode(65 + number(0, 25));
  const listed: NameSource = {
    first: () => drawOf(part, census.first) ?? census.first(),
    last: () => drawOf(part, census.last) ?? census.last(),
  };
  const names: NameSource[] = fakers.map((own) => ({
    first: () => drawOf(part, () => own.person.firstName()) ?? listed.first(),
    last: () => drawOf(part, () => own.person.lastName()) ?? listed.last(),
  }));
  const { first, last, person } = personMaker([...names, ...names.map(() => listed)], random);
  const city = (): string =>
    (chance(0.3) ? drawOf(part, () => faker().location.city()) : null) ?? pickOf(cities, random);
  const country = (): string =>
    chance(0.04) ? pickOf(COUNTRIES, random).toUpperCase() : pickOf(COUNTRIES, random);
  const state = () => pickOf(STATES, random);
  const location = (): string => {
    const draw = random();
    if (draw < 0.45) return city();
    if (draw < 0.5) return city().toUpperCase();
    if (draw < 0.9) return country();
    return state();
  };
  const { zip, house, street, address } = addressMaker({
    random,
    first,
    last,
    city,
    fakerStreet: () => faker().location.street(),
    fakerZip: () => faker().location.zipCode(),
  });
  const organization = organizationMaker({
    random,
    first,
    last,
    city,
    country,
    fakerCompany: () => faker().company.name(),
    companies,
  });
  const { date, day_date, datetime, year } = dateMaker(random);
  const job = jobMaker(jobs, random);
  const job_title = () => {
    const drawn = job();
    const draw = random();
    if (draw < 0.5) return drawn.charAt(0).toUpperCase() + drawn.slice(1);
    if (draw < 0.75)
      return drawn.replace(/(?<![\p{L}'])(?!and\b|of\b)\p{Ll}/gu, (found) => found.toUpperCase());
    return drawn;
  };
  const license = () =>
    pickOf(
      [
        () => `${letter()}${digits(7)}`,
        () => digits(8),
        () => `${letter()}${digits(12)}`,
        () => `${letter()}${letter()}${digits(6)}`,
        () => `${letter()}${digits(3)}-${digits(4)}-${digits(4)}`,
        () => `${letter()}${digits(3)}-${digits(3)}-${digits(2)}-${digits(3)}-${number(0, 9)}`,
        () => digits(9),
        () => digits(7),
        () => `${digits(3)} ${digits(3)} ${digits(3)}`,
        () => `${digits(3)}-${digits(2)}-${digits(4)}`,
        () => `${letter()}${digits(8)}`,
        () => `${digits(2)} ${digits(3)} ${digits(3)}`,
        () => `${letter().repeat(5)}${digits(6)}${letter()}${letter()}${number(1, 9)}${letter()}${letter()}`,
      ],
      random,
    )();
  const age = () => String(chance(0.85) ? number(1, 99) : number(100, 115));
  return {
    first,
    last,
    person,
    location,
    city,
    zip,
    house,
    street,
    address,
    organization,
    date,
    day_date,
    month_name: () => pickOf(MONTHS, random),
    month_year: () => `${pickOf(MONTHS, random)} ${year()}`,
    datetime,
    license,
    state,
    year,
    age,
    country,
    job,
    job_title,
    state_code: () => pickOf(STATE_CODES, random),
    title: () => pickOf(HONORIFICS, random),
    nationality: () => pickOf(NATIONALITIES, random),
    people: () => pickOf(PLURAL_PEOPLES, random),
    phone: () => (chance(0.6) ? faker().phone.number() : `(${digits(3)}) ${digits(3)}-${digits(4)}`),
    email: () => faker().internet.email(),
    card: () => faker().finance.creditCardNumber(),
    iban: () => faker().finance.iban(),
    ssn: () => `${number(100, 665)}-${number(10, 99)}-${number(1000, 9999)}`,
    url: () =>
      `${pickOf(['www.', 'https://', 'http://www.', ''], random)}${last()
        .toLowerCase()
        .replace(/[^a-z]/g, '')}.${pickOf(['com', 'org', 'net', 'de', 'co.uk', 'io'], random)}`,
    ip: () => `${number(1, 223)}.${number(0, 255)}.${number(0, 255)}.${number(1, 254)}`,
    amount: () =>
      pickOf(
        [
          `$${number(1, 9_999)}`,
          `${number(5, 900)} euros`,
          `${number(1, 99)}%`,
          `£${number(2, 500)}.${digits(2)}`,
          `${number(2, 9)},${digits(3)} dollars`,
        ],
        random,
      ),
    ...technicalMaker(random),
    number: () => String(chance(0.6) ? number(2, 99) : number(100, 99_999)),
    order: () =>
      pickOf(
        [
          `#${digits(5)}`,
          `${letter()}${letter()}-${digits(4)}`,
          digits(6),
          digits(8),
          `INV-${digits(5)}`,
          `TK${digits(7)}`,
        ],
        random,
      ),
  };
}
