/**
 * The guardrails against sets that they were not trained on, beside open npm peers in the same run, which are installed into
 * a directory of their own: `npm run bench -- guardrails [--data ../shared/data/guardrails] [--smoke]`. Without the sets only times
 * are measured, on made texts; `--smoke` needs no network and asks few texts.
 * Attacks: CyberSecEval prompt injections, as the user's text alone. Ordinary: NotInject, and the safe half of XSTest.
 * Reported and not aimed at: XSTest's unsafe half (harmful requests) and BIPIA (ordinary orders in retrieved text).
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { compileGuardrails } from '#router/guardrails/compile-guardrails.ts';
import { inspectText } from '#router/guardrails/inspect-text.ts';
import { type GuardrailModels, loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { judgingDocuments } from '#test/support/unseen-documents.ts';
import { describeMachine, printClaim, summarise } from './support/claims.ts';
import { installPeers } from './support/install-peers.ts';

const WARM_UP = 200;
const TIMED = 2_000;
const SMOKE_TEXTS = 10;
/** A question, a paragraph, a page. */
const MESSAGE_CHARACTERS = [80, 1_024, 4_096] as const;

const PEERS = ['@andersmyrmel/vard@1.2.0', 'llm_guardrail@2.1.2'] as const;

type Guard = { name: string; flags: (text: string) => boolean | Promise<boolean> };
type Judged = { name: string; attack: boolean | null; texts: readonly string[] };

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string', default: join(import.meta.dirname, '../../shared/data/guardrails') },
      smoke: { type: 'boolean', default: false },
    },
  });
  const { smoke } = values;
  const machine = describeMachine();
  const given = existsSync(values.data) ? await readSets(values.data) : [];
  if (given.length === 0) console.error(`SKIPPED: no sets to judge by in ${values.data}.`);
  const prose = given.flatMap(({ texts }) => texts).join('\n') || MADE_TEXT.repeat(200);
  const sets = [...given, ...(await longSets(given))];
  const models = await loadGuardrailModels();
  const guards = [
    bulkhead('bulkhead', models, {}),
    bulkhead('bulkhead, personal data too', models, { pii: 'redact' }),
    ...(smoke ? [] : await peers()),
  ];
  for (const guard of guards) {
    for (const { name, attack, texts: all } of sets) {
      const texts = smoke ? all.slice(0, SMOKE_TEXTS) : all;
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
        smoke,
        machine,
      });
    }
    for (const characters of MESSAGE_CHARACTERS) {
      printClaim({
        bench: 'guardrails',
        guard: guard.name,
        what: `time of one message of ${characters} characters`,
        ...(await time(guard, prose, characters, smoke ? SMOKE_TEXTS : TIMED)),
        smoke,
        machine,
      });
    }
  }
}

const MADE_TEXT =
  'The harbour office keeps a list of ships that came in this week: names, flags, and where they lie. Ask there before noon. ';

/** The product’s own way through a text, under a policy that differs from the default as told. */
function bulkhead(name: string, models: GuardrailModels, policy: Record<string, unknown>): Guard {
  const config = tenantConfigSchema.parse({ tenant_id: 'bench', display_name: 'Bench', ...policy });
  const inspection = { rules: compileGuardrails(config), patterns: [], models };
  return {
    name,
    flags(text) {
      const work = inspectText(inspection, text, 'user');
      for (let next = work.next(); ; next = work.next()) {
        if (next.done === true) return next.value.some(({ detector }) => detector === 'prompt_injection');
      }
    },
  };
}

async function peers(): Promise<Guard[]> {
  const load = await installPeers('guardrail-peers', PEERS);
  if (load === null) return [];
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

/** Messages of exactly this length, cut from the judged texts run together: attacks and ordinary text in turn. */
async function time(guard: Guard, prose: string, characters: number, count: number) {
  const message = (index: number) => {
    const at = (index * 1_777) % Math.max(1, prose.length - characters);
    return prose.slice(at, at + characters);
  };
  for (let index = 0; index < Math.min(WARM_UP, count); index++) await guard.flags(message(index));
  const latencies: number[] = [];
  const before = process.cpuUsage();
  for (let index = 0; index < count; index++) {
    const text = message(index + WARM_UP);
    const started = performance.now();
    await guard.flags(text);
    latencies.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(before);
  // On a machine that is busy with other things, time on the CPU says more than the clock.
  return { ...summarise(latencies), cpu_mean_us: Math.round((user + system) / count) };
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

/** Documentation and source code of installed packages that nothing was trained on, and attacks in the middle of them. */
async function longSets(given: readonly Judged[]): Promise<Judged[]> {
  const documents = (await judgingDocuments()).map(({ text }) => text);
  const attacks = given.find(({ name }) => name === 'cyberseceval-direct')?.texts ?? [];
  const planted = attacks.map((attack, index) => {
    const document = documents[index % documents.length] ?? '';
    const at = document.indexOf('\n', document.length / 2) + 1;
    return `${document.slice(0, at)}${attack}\n${document.slice(at)}`;
  });
  return [
    { name: 'long ordinary documents', attack: false, texts: documents },
    ...(planted.length === 0
      ? []
      : [{ name: 'cyberseceval-direct within long documents', attack: true, texts: planted }]),
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
