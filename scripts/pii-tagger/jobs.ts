import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { pickOf } from './random.ts';

/** Titles as people say them, which registers of occupations leave out or have among many thousands. */
const COMMON = (
  'accountant,actor,architect,artist,baker,builder,bus driver,carpenter,cashier,chef,cleaner,clerk,coach,cook,dentist,designer,' +
  'doctor,economist,editor,electrician,engineer,farmer,firefighter,gardener,hairdresser,historian,journalist,judge,lawyer,librarian,' +
  'manager,mechanic,musician,nurse,painter,pharmacist,photographer,pilot,plumber,poet,police officer,professor,programmer,psychologist,' +
  'receptionist,sales manager,scientist,secretary,singer,social worker,soldier,software engineer,student teacher,surgeon,tailor,' +
  'taxi driver,teacher,technician,translator,truck driver,waiter,waitress,writer,CEO,CFO,CTO,COO,CIO,President,Chairman,Chairwoman,' +
  'Chief Executive Officer,Chief Financial Officer,Vice President,VP of Sales,Managing Director,Head of Marketing,Team Lead,' +
  'General Manager,Board Member,Intern,Mayor,Prime Minister,Minister of Finance,Secretary of State'
).split(',');

/** A word that ends as many titles as this is a word of occupations by itself. */
const OFTEN = 8;

/** The list of titles that the package find-job-titles has: one a line, in gzip. */
export async function readJobs(path: string): Promise<string[]> {
  const titles = gunzipSync(await readFile(path))
    .toString('utf8')
    .split('\n');
  return titles.map((title) => title.trim()).filter((title) => /^[A-Z][A-Za-z' -]{3,40}$/.test(title));
}

/** Draws occupations: common ones often, the rest of the list as often as the list has them. */
export function jobMaker(titles: readonly string[], random: () => number): () => string {
  const small = (title: string) => title.replace(/\b[A-Z](?=[a-z])/g, (letter) => letter.toLowerCase());
  return () => {
    const draw = random();
    if (draw < 0.4) return pickOf(COMMON, random);
    const title = pickOf(titles, random);
    return draw < 0.8 ? small(title) : title;
  };
}

/** Words that say an occupation by themselves. */
export function jobWordsOf(titles: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const title of titles) {
    const last = title.split(' ').at(-1) ?? '';
    counts.set(last, (counts.get(last) ?? 0) + 1);
  }
  return [...COMMON, ...[...counts].filter(([, count]) => count >= OFTEN).map(([word]) => word)];
}
