import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

const PACKAGES = join(import.meta.dirname, '../../node_modules');
const DOCUMENT = /\.(?:md|markdown|html)$|(?<!\.min)\.[cm]?[jt]s$|\.(?:json|css|ya?ml|c|cc|h|proto)$/i;
const MIN_CHARACTERS = 2_000;
const MAX_CHARACTERS = 60_000;
const MAX_BYTES = 300_000;
const MOST_OF_A_PACKAGE = 8;

export type LongDocument = Readonly<{ name: string; text: string }>;

/**
 * Which use the prompt guard’s training makes of an installed package: two quarters are learned from (those that
 * `scripts/prompt-guard/npm-packages.txt` lists), one is for choosing thresholds, and one judges.
 */
export function useOfPackage(name: string): 'training' | 'choosing' | 'judging' {
  const hash = createHash('sha256').update(name).digest().readUInt32BE(0) % 4;
  return hash < 2 ? 'training' : hash === 2 ? 'choosing' : 'judging';
}

/** README files of 2,000 characters or more of all installed packages that were not learned from. */
export async function unseenReadmes(): Promise<LongDocument[]> {
  const readmes: LongDocument[] = [];
  for (const name of await packageNames()) {
    if (useOfPackage(name) === 'training') continue;
    for (const file of (await readdir(join(PACKAGES, name))).sort()) {
      if (/^readme(?:\.md|\.markdown)?$/i.test(file))
        readmes.push(...(await longDocument(`${name}/${file}`)));
    }
  }
  return readmes;
}

/** Long files of all kinds of the packages that judge, a few of each package: documentation, code, tables. */
export async function judgingDocuments(): Promise<LongDocument[]> {
  const documents: LongDocument[] = [];
  for (const name of await packageNames()) {
    if (useOfPackage(name) !== 'judging') continue;
    const files = await readdir(join(PACKAGES, name), { recursive: true });
    const ordered = files
      .filter((file) => DOCUMENT.test(file) && !/(?:^|\/)node_modules\//.test(file))
      // Each package’s documentation, and then by hash: many are mostly alike files of types.
      .sort((one, other) => rankOf(one).localeCompare(rankOf(other)));
    let taken = 0;
    for (const file of ordered) {
      if (taken >= MOST_OF_A_PACKAGE) break;
      const found = await longDocument(`${name}/${file}`);
      documents.push(...found);
      taken += found.length;
    }
  }
  return documents;
}

const rankOf = (file: string): string =>
  (/\.(?:md|markdown|html)$/i.test(file) ? '0' : '1') + createHash('sha256').update(file).digest('hex');

async function packageNames(): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(PACKAGES)) {
    if (entry.startsWith('.')) continue;
    if (!entry.startsWith('@')) names.push(entry);
    else for (const inner of await readdir(join(PACKAGES, entry))) names.push(`${entry}/${inner}`);
  }
  return names.sort();
}

async function longDocument(name: string): Promise<LongDocument[]> {
  const path = join(PACKAGES, name);
  const found = await stat(path);
  if (!found.isFile() || found.size < MIN_CHARACTERS || found.size > MAX_BYTES) return [];
  const text = await readFile(path, 'utf8');
  return text.length < MIN_CHARACTERS ? [] : [{ name, text: text.slice(0, MAX_CHARACTERS) }];
}
