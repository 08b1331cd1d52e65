import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const questionLine = z.object({
  question: z.array(z.array(z.object({ role: z.string(), content: z.string() }))),
});
const queryLine = z.object({ query: z.string() });

/** Files below a directory whose names end so, in an order that no file system decides. */
export async function filesBelow(directory: string, ends: RegExp): Promise<string[]> {
  const names = await readdir(directory, { recursive: true });
  return names
    .filter((name) => ends.test(name))
    .sort()
    .map((name) => join(directory, name));
}

/**
 * Sentences that people wrote and that name nobody, from released packages unpacked into one directory each (see the model
 * card): their only capitals begin a sentence. They teach that a capital there means nothing, and how prose reads around names.
 */
export async function readProse(directory: string): Promise<string[]> {
  const texts: string[] = [];
  for (const path of await filesBelow(join(directory, 'bfcl_eval/bfcl_eval/data'), /^[^/]+\.json$/)) {
    for (const line of (await readFile(path, 'utf8')).split('\n')) {
      // One object a line; the indented files among them hold no questions.
      if (!line.startsWith('{"')) continue;
      const parsed = questionLine.safeParse(JSON.parse(line));
      if (!parsed.success) continue;
      for (const { role, content } of parsed.data.question.flat()) if (role === 'user') texts.push(content);
    }
  }
  for (const path of await filesBelow(
    join(directory, 'chatterbot_corpus/chatterbot_corpus/data'),
    /\.yml$/,
  )) {
    for (const text of (await readFile(path, 'utf8')).split(/^\s*-\s(?:-\s)?/m))
      texts.push(text.replace(/^\|\s*/, '').replace(/\n\s+/g, '\n'));
  }
  const evaluations = join(directory, 'inspect_evals/inspect_evals');
  for (const path of [
    join(evaluations, 'writingbench/benchmark_all.jsonl'),
    ...(await filesBelow(join(evaluations, 'persistbench/benchmark_samples'), /\.jsonl$/)),
  ]) {
    for (const line of (await readFile(path, 'utf8')).split('\n'))
      if (line !== '') texts.push(queryLine.parse(JSON.parse(line)).query);
  }
  for (const path of [
    ...(await filesBelow(evaluations, /README\.md$/)),
    ...(await filesBelow(join(directory, 'lm_eval'), /README\.md$/)),
  ])
    texts.push(await readFile(path, 'utf8'));
  return texts
    .flatMap((text) => text.match(/[^\n.!?]{12,220}[.!?]/g) ?? [])
    .map((sentence) => sentence.trim())
    .filter(
      (sentence) =>
        /^[A-Z][a-z' ]*\s[a-z ,;:'()-]+[.!?]$/.test(sentence) || /^[a-z ,;:'()-]+[.!?]$/.test(sentence),
    );
}
