import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const MIN_CHARACTERS = 600;
const MAX_CHARACTERS = 60_000;

/** Folders below `packages/documents` (see the model card), which of their files are read, and how many at most. */
const DOCUMENTS: readonly Readonly<{ folder: string; files: RegExp; most: number }>[] = [
  { folder: 'npm', files: /(?:^|\/)readme[^/]*\.(?:md|markdown)$/i, most: 400 },
  { folder: 'npm', files: /\.(?:md|markdown|html)$/i, most: 400 },
  { folder: 'npm', files: /\.[cm]?ts$/, most: 700 },
  { folder: 'npm', files: /(?<!\.min)\.[cm]?js$/, most: 700 },
  { folder: 'npm', files: /\.(?:json|css|ya?ml|c|cc|h|proto|txt)$|LICENSE$/i, most: 400 },
  { folder: 'peps', files: /peps\/.*\.rst$/, most: 400 },
  { folder: 'site-policy', files: /\.md$/, most: 60 },
  { folder: 'book', files: /\.(?:md|rs)$/, most: 250 },
  { folder: 'gin', files: /\.(?:go|md|yml)$/, most: 100 },
  { folder: 'ripgrep', files: /\.(?:rs|md|toml|yml|sh)$/, most: 150 },
  { folder: 'spring-petclinic', files: /\.(?:java|xml|html|sql|md|properties)$/, most: 100 },
  { folder: 'cJSON', files: /\.(?:c|h|md|cmake|json)$/, most: 80 },
  { folder: 'ohmyzsh', files: /\.(?:zsh|sh|md)$/, most: 200 },
  { folder: 'sinatra', files: /\.(?:rb|md|erb)$/, most: 100 },
  { folder: 'handbook', files: /\.(?:md|html|js|yml)$/, most: 250 },
  { folder: 'html5-boilerplate', files: /\.(?:md|html|css|js)$/, most: 40 },
  { folder: 'standardebooks', files: /\/text\/.*\.xhtml$/, most: 300 },
  { folder: 'django', files: /\.(?:py|py-tpl)$/, most: 350 },
  { folder: 'django', files: /\.(?:html|css|js|svg|txt)$/, most: 150 },
  { folder: 'django', files: /\.po$/, most: 150 },
  { folder: 'awscli', files: /\.rst$/, most: 600 },
  { folder: 'awscli', files: /\.py$/, most: 100 },
];

/** What a document says that is about injections is no ordinary text. */
export const ABOUT_ATTACKS =
  /(?:ignore|disregard|forget|override)\W+(?:\w+\W+){0,3}(?:previous|prior|above|earlier|instructions)|jailbreak|system prompt|prompt injection/i;

/**
 * Long ordinary texts: documentation, source code, markup, tables, laws and prose. Which files, and in what order, depends on
 * their names alone.
 */
export async function readDocuments(directory: string): Promise<string[]> {
  const texts = new Set<string>();
  const names = new Map<string, string[]>();
  for (const { folder, files, most } of DOCUMENTS) {
    const root = join(directory, 'documents', folder);
    let all = names.get(folder);
    if (all === undefined) {
      all = (await readdir(root, { recursive: true })).sort(byHash);
      names.set(folder, all);
    }
    let taken = 0;
    for (const name of all) {
      if (taken >= most) break;
      if (!files.test(name)) continue;
      const text = await readIfText(join(root, name));
      if (text === null || text.length < MIN_CHARACTERS || ABOUT_ATTACKS.test(text)) continue;
      const cut = text.slice(0, MAX_CHARACTERS);
      if (texts.has(cut)) continue;
      texts.add(cut);
      taken++;
    }
  }
  return [...texts];
}

const hashOf = (name: string): string => createHash('sha256').update(name).digest('hex');
const byHash = (one: string, other: string): number => (hashOf(one) < hashOf(other) ? -1 : 1);

export async function readIfText(path: string): Promise<string | null> {
  try {
    const text = await readFile(path, 'utf8');
    return text.includes('\0') ? null : text;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EISDIR') return null;
    throw error;
  }
}
