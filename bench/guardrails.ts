/**
 * The guardrails against sets that they were not trained on, beside open npm peers in the same run:
 * `npm run bench -- guardrails [--data ../shared/data/guardrails] [--peers <directory with the peers installed>]`.
 * Attacks: CyberSecEval prompt injections, as the user's text alone. Ordinary: NotInject, and the safe half of XSTest.
 * Reported and not aimed at: XSTest's unsafe half (harmful requests) and BIPIA (ordinary orders in retrieved text).
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { compileGuardrails } from '#router/guardrails/compile-guardrails.ts';
import { inspectText } from '#router/guardrails/inspect-text.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { describeMachine, printClaim, summarise } from './support/claims.ts';

const WARM_UP = 200;
const TIMED = 2_000;
const MESSAGE_CHARACTERS = 4_096;

type Guard = { name: string; flags: (text: string) => boolean | Promise<boolean> };
type Judged = { name: string; attack: boolean | null; texts: readonly string[] };

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string', default: join(import.meta.dirname, '../../shared/data/guardrails') },
      peers: { type: 'string' },
    },
  });
  const machine = describeMachine();
  const sets = await readSets(values.data);
  for (const guard of [await ours(), ...(values.peers === undefined ? [] : await peers(values.peers))]) {
    for (const { name, attack, texts } of sets) {
      let flagged = 0;
      for (const text of texts) if (await guard.flags(text)) flagged++;
      printClaim({
        bench: 'guardrails',
        guard: guard.name,
        set: name,
        kind: attack === null ? 'reported' : attack ? 'attacks' : 'ordinary',
        texts: texts.length,
        flagged,
        ...(attack === false
          ? { allowed_share: share(texts.length - flagged, texts.length) }
          : { flagged_share: share(flagged, texts.length) }),
        machine,
      });
    }
    printClaim({
      bench: 'guardrails',
      guard: guard.name,
      what: 'time of one message of 4 KB',
      ...(await time(guard, sets)),
      machine,
    });
  }
}

/** Every detector is on: a message is timed as the router would inspect it. */
async function ours(): Promise<Guard> {
  const config = tenantConfigSchema.parse({ tenant_id: 'bench', display_name: 'Bench', pii: 'redact' });
  const inspection = { rules: compileGuardrails(config), patterns: [], models: await loadGuardrailModels() };
  return {
    name: 'bulkhead',
    flags(text) {
      const work = inspectText(inspection, text, 'user');
      for (let next = work.next(); ; next = work.next()) {
        if (next.done === true) return next.value.some(({ detector }) => detector === 'prompt_injection');
      }
    },
  };
}

async function peers(directory: string): Promise<Guard[]> {
  const load = async (path: string): Promise<unknown> =>
    import(pathToFileURL(resolve(directory, 'node_modules', path)).href);
  const safeParse = property(property(await load('@andersmyrmel/vard/dist/index.js'), 'vard'), 'safe');
  const railed = property(await load('llm_guardrail/index.js'), 'checkAll');
  if (typeof safeParse !== 'function' || typeof railed !== 'function')
    throw new Error('A peer has another interface.');
  return [
    { name: 'vard', flags: (text) => !z.looseObject({ safe: z.boolean() }).parse(safeParse(text)).safe },
    {
      name: 'llm_guardrail',
      flags: async (text) => {
        const result = z
          .looseObject({
            injection: z.looseObject({ detected: z.boolean() }),
            jailbreak: z.looseObject({ detected: z.boolean() }),
          })
          .parse(await railed(text));
        return result.injection.detected || result.jailbreak.detected;
      },
    },
  ];
}

/** Messages of exactly 4 KB, cut from the judged texts run together: attacks and ordinary text in turn. */
async function time(guard: Guard, sets: readonly Judged[]) {
  const all = sets.flatMap(({ texts }) => texts).join('\n');
  const message = (index: number) => {
    const at = (index * 1_777) % Math.max(1, all.length - MESSAGE_CHARACTERS);
    return all.slice(at, at + MESSAGE_CHARACTERS);
  };
  for (let index = 0; index < WARM_UP; index++) await guard.flags(message(index));
  const latencies: number[] = [];
  for (let index = 0; index < TIMED; index++) {
    const text = message(index + WARM_UP);
    const started = performance.now();
    await guard.flags(text);
    latencies.push(performance.now() - started);
  }
  return summarise(latencies);
}

async function readSets(directory: string): Promise<Judged[]> {
  const read = (name: string) => readFile(join(directory, name), 'utf8');
  const prompts = async (name: string) =>
    z
      .array(z.object({ prompt: z.string() }))
      .parse(JSON.parse(await read(name)))
      .map(({ prompt }) => prompt);
  const injections = z
    .array(z.object({ user_input: z.string(), injection_type: z.string() }))
    .parse(JSON.parse(await read('cyberseceval-prompt-injection.json')));
  const ofType = (type: string) =>
    injections.filter(({ injection_type }) => injection_type === type).map(({ user_input }) => user_input);
  const xstest = csvRows(await read('xstest-prompts.csv'));
  const labelled = (label: string) =>
    xstest.filter((row) => row.label === label).map((row) => row.prompt ?? '');
  const bipia = z.record(z.string(), z.array(z.string())).parse(JSON.parse(await read('bipia-text.json')));
  return [
    { name: 'cyberseceval', attack: true, texts: injections.map(({ user_input }) => user_input) },
    { name: 'cyberseceval-direct', attack: true, texts: ofType('direct') },
    { name: 'cyberseceval-indirect', attack: true, texts: ofType('indirect') },
    {
      name: 'notinject',
      attack: false,
      texts: [...(await prompts('notinject-one.json')), ...(await prompts('notinject-two.json'))],
    },
    { name: 'xstest-safe', attack: false, texts: labelled('safe') },
    { name: 'xstest-unsafe', attack: null, texts: labelled('unsafe') },
    { name: 'bipia', attack: null, texts: Object.values(bipia).flat() },
  ];
}

/** RFC 4180 rows by column name. */
function csvRows(csv: string): Record<string, string>[] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n\r]*))(,|\r?\n|$)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end !== ',') rows.push([]);
  }
  const [header = [], ...body] = rows;
  return body
    .filter((row) => row.length === header.length)
    .map((row) => Object.fromEntries(header.map((name, index) => [name, row[index] ?? ''])));
}

/** A module's exports and what hangs on them: functions may have properties too. */
const property = (value: unknown, name: string): unknown =>
  (typeof value === 'object' || typeof value === 'function') && value !== null
    ? Reflect.get(value, name)
    : undefined;

const share = (part: number, whole: number): number =>
  Math.round((1_000 * part) / Math.max(1, whole)) / 1_000;
