import { readFile } from 'node:fs/promises';
import { z } from 'zod';

const LATIN = /^[\p{Script=Latin}\d &.,'’/+-]+$/u;
const brandsFile = z.object({
  nsi: z.record(z.string(), z.object({ items: z.array(z.object({ displayName: z.string() })).default([]) })),
});
/** Whose names are those of organizations, and not of bus lines, pipelines or flags. */
const TREES =
  /^(?:brands|operators)\/(?:shop|amenity|office|tourism|leisure|healthcare|club|craft|emergency|telecom|landuse)\//;

/** Shops, banks, schools, libraries, authorities of the world, of name-suggestion-index. */
export async function readBrands(path: string): Promise<string[]> {
  const { nsi } = brandsFile.parse(JSON.parse(await readFile(path, 'utf8')));
  const names = Object.entries(nsi)
    .filter(([tree]) => TREES.test(tree))
    .flatMap(([, { items }]) => items.map(({ displayName }) => displayName.replace(/\s*\([^)]*\)$/, '')));
  return [...new Set(names)].filter(isUsable).sort();
}

/** Universities of the world, of university-domains-list. */
export async function readUniversities(path: string): Promise<string[]> {
  const rows = z.array(z.object({ name: z.string() })).parse(JSON.parse(await readFile(path, 'utf8')));
  return [...new Set(rows.map(({ name }) => name.trim()))].filter(isUsable).sort();
}

const isUsable = (name: string): boolean =>
  LATIN.test(name) && name.length > 2 && name.length < 60 && /^[\p{Lu}\d]/u.test(name);

/** Words that many organizations have in their names, and that are no names of people or places by themselves. */
export function organizationWordsOf(names: readonly string[], isName: (word: string) => boolean): string[] {
  const counts = new Map<string, number>();
  for (const name of names)
    for (const word of new Set(name.match(/\p{Lu}\p{Ll}[\p{L}’'-]+/gu) ?? []))
      counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].filter(([word, count]) => count >= OFTEN && !isName(word)).map(([word]) => word);
}

/** In so many names, a word is one of organizations. */
const OFTEN = 12;
