import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '../..');
const CORPORA = { fastify: 'node_modules/fastify/docs', undici: 'node_modules/undici/docs/docs' } as const;
const questionsSchema = z.looseObject({
  answerable: z.array(z.looseObject({ corpus: z.enum(['fastify', 'undici']), question: z.string() })),
});

export type Corpus = keyof typeof CORPORA;
export type MarkdownFile = Readonly<{ name: string; text: string }>;

/** The Markdown files of a corpus: documentation that installed packages ship. */
export async function readCorpus(corpus: Corpus): Promise<MarkdownFile[]> {
  const directory = join(ROOT, CORPORA[corpus]);
  const names = (await readdir(directory, { recursive: true })).filter((name) => name.endsWith('.md')).sort();
  return Promise.all(
    names.map(async (name) => ({
      name: name.replaceAll('/', '-'),
      text: await readFile(join(directory, name), 'utf8'),
    })),
  );
}

/** Questions that the corpus answers. */
export async function readQuestions(corpora: readonly Corpus[]): Promise<string[]> {
  const file = await readFile(join(ROOT, 'bench/data/questions.json'), 'utf8');
  return questionsSchema
    .parse(JSON.parse(file))
    .answerable.filter(({ corpus }) => corpora.includes(corpus))
    .map(({ question }) => question);
}
