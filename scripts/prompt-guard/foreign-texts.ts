import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { namesIn } from './names-in.ts';
import type { LabelledText } from './package-texts.ts';

/** Orders to a house are much alike: some of each language are enough. */
const ORDERS_OF_A_LANGUAGE = 120;

const xquad = z.object({
  data: z.array(
    z.object({
      paragraphs: z.array(
        z.object({ context: z.string(), qas: z.array(z.object({ question: z.string() })) }),
      ),
    }),
  ),
});
const task = z.object({ instruction: z.string(), instances: z.array(z.object({ input: z.string() })) });
const chat = z.object({ messages: z.array(z.object({ role: z.string(), content: z.string() })) });

/**
 * Ordinary texts in other languages: questions and the prose that answers them (XQuAD, 11 languages), what French speakers ask
 * (Vigogne), and orders to a house (Home Assistant's intents, some 60 languages).
 */
export async function readForeignTexts(directory: string): Promise<LabelledText[]> {
  const texts: LabelledText[] = [];
  const add = (text: string, source: string) => {
    if (text.trim().length >= 8) texts.push({ text: text.trim().slice(0, 2_000), attack: false, source });
  };
  const read = (path: string) => readFile(join(directory, path), 'utf8');
  const lines = async (path: string) => (await read(path)).split('\n').filter((line) => line !== '');

  for (const name of await namesIn(join(directory, 'xquad'))) {
    if (!name.endsWith('.json')) continue;
    for (const { paragraphs } of xquad.parse(JSON.parse(await read(`xquad/${name}`))).data) {
      for (const { context, qas } of paragraphs) {
        add(context, 'xquad');
        for (const { question } of qas) add(question, 'xquad');
      }
    }
  }
  for (const line of await lines('vigogne/data/instruct/seed_tasks_vigogne.jsonl')) {
    const { instruction, instances } = task.parse(JSON.parse(line));
    add(`${instruction}\n${instances[0]?.input ?? ''}`, 'vigogne');
  }
  for (const line of await lines('vigogne/data/chat/oasst_20230412_fr_top1.jsonl')) {
    for (const { content } of chat.parse(JSON.parse(line)).messages) add(content, 'vigogne');
  }
  const byLanguage = new Map<string, string[]>();
  for (const name of await namesIn(join(directory, 'intents/tests'), { recursive: true })) {
    const language = /^([^/]+)\/[^/]+\.yaml$/.exec(name)?.[1];
    if (language === undefined) continue;
    const orders = byLanguage.get(language) ?? [];
    const yaml = await read(`intents/tests/${name}`);
    orders.push(...[...yaml.matchAll(/^ {6}- "?([^"\n]+)/gm)].map(([, order = '']) => order));
    byLanguage.set(language, orders);
  }
  for (const orders of byLanguage.values()) {
    const step = Math.max(1, Math.floor(orders.length / ORDERS_OF_A_LANGUAGE));
    for (let at = 0; at < orders.length; at += step) add(orders[at] ?? '', 'intents');
  }
  return texts;
}
