import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import type { EntityKind } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import { isOf, type Part } from './held-out.ts';
import type { LabelledSpans } from './make-text.ts';
import { pickOf } from './random.ts';
import { filesBelow } from './read-prose.ts';

const ENDS = /\.(?:js|ts|json|md|py|ya?ml|toml|cfg|css|html)$/;
/** Names by the hundred, other people's code, and what was made by a machine in one line. */
const LEFT_OUT =
  /(?:^|\/)(?:node_modules|locales?|locale-data|data|dist-info)\/|\.min\.js$|package-lock|AUTHORS/;
/** Lines that name people: their makers. */
const NAMES_SOMEBODY =
  /author|contribut|maintain|copyright|\(c\)|©|thank|credit|@|licen[cs]e|courtesy|github\.com|created by|written by/i;
const MOST_OF_A_FILE = 12;
const LONGEST = 420;

/** What a piece of code, notes or data of somebody's program is never of, where its lines name nobody. */
const LOOKED_FOR: ReadonlySet<EntityKind> = new Set<EntityKind>([
  'person',
  'title',
  'address',
  'postal_code',
  'age',
  'license',
]);

export type TechnicalSources = Readonly<{
  /** Directories of unpacked packages. */
  directories: readonly string[];
  part: Part;
  /** Is this word in a list of first names, or of last names? */
  isName: (word: string) => boolean;
  random: () => number;
}>;

/**
 * Pieces of source code, change logs, notes and settings of released packages: texts full of capitals, numbers and signs in
 * which nobody is named. Lines with two listed names beside each other are left out, and those that thank somebody.
 */
export async function readTechnical(sources: TechnicalSources): Promise<LabelledSpans[]> {
  const { directories, part, isName, random } = sources;
  const isWanted = isOf(part);
  const texts: LabelledSpans[] = [];
  for (const directory of directories) {
    for (const path of await filesBelow(directory, ENDS)) {
      const name = relative(directory, path);
      if (LEFT_OUT.test(name) || !isWanted(name)) continue;
      const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line.trim() !== '');
      const pieces = Math.min(MOST_OF_A_FILE, Math.ceil(lines.length / 8));
      for (let piece = 0; piece < pieces; piece++) {
        const from = Math.floor(random() * lines.length);
        const count = pickOf([1, 1, 2, 3, 4, 6, 8], random);
        const text = lines
          .slice(from, from + count)
          .filter((line) => line.length < LONGEST && !namesSomebody(line))
          .join('\n')
          .slice(0, LONGEST);
        if (text.trim().length > 3) texts.push({ text, spans: [], looked_for: LOOKED_FOR });
      }
    }
  }
  return texts;

  function namesSomebody(line: string): boolean {
    if (NAMES_SOMEBODY.test(line)) return true;
    const words = line.match(/\p{L}[\p{L}'’-]*/gu) ?? [];
    return words.some(
      (word, index) =>
        isCapital(word) &&
        isName(word) &&
        isCapital(words[index + 1] ?? '') &&
        isName(words[index + 1] ?? ''),
    );
  }
}

const isCapital = (word: string): boolean => /^\p{Lu}\p{Ll}{2}/u.test(word);
