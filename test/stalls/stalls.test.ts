import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EngineServer, sendStream, startEngineServer, streamOf } from '../support/engine-server.ts';
import { call } from '../support/http-client.ts';
import { type MeteredPlatform, startMeteredPlatform } from '../support/metered-platform.ts';
import { type JsonSchema, minimalValue, readRoutes } from '../support/openapi-routes.ts';
import { createTenants, type Keys } from '../support/tenants.ts';
import {
  type Attack,
  formAttacks,
  LIMIT,
  TEXT_SURFACES,
  textAttacks,
  USUAL,
  uploadAttacks,
} from './hostile-bodies.ts';
import { repeated, TEXT_SHAPES } from './hostile-texts.ts';

/** CPU milliseconds of the longest turn of the event loop, for bodies up to 100 KB and up to the limit. */
const MAX_USUAL_MS = 10;
const MAX_LIMIT_MS = 50;
/**
 * The least of so many runs counts: what is compiled in the first, and a collection of the whole heap that falls into one, are not the
 * body's. A step that is the body's is there each time.
 */
const RUNS = 4;
/** Of one processor; logs and metrics go on. */
const MAX_IDLE_LOAD = 0.3;

/** The same in every run; others are tried with `STALL_SEED=$RANDOM STALL_RUNS=500`. */
const SEED = Number(process.env.STALL_SEED ?? 20_261_201);
const GENERATED = Number(process.env.STALL_RUNS ?? 20);

const PII = ['email', 'phone', 'card_number', 'iban', 'ip_address', 'ssn', 'person', 'address', 'location'];
const POLICY = {
  guardrails: { pii: Object.fromEntries(PII.map((kind) => [kind, 'redact'])) },
  refusal_rules: [{ name: 'r', phrases: ['never say this'] }],
  sensitive_patterns: [
    { name: 'p', pattern: '\\bproject \\d{4}\\b', applies_to: 'both' },
    { name: 'q', pattern: 'codename [a-z]+', action: 'redact' },
  ],
  blocked_tools: [],
};

let engine: EngineServer;
let platform: MeteredPlatform;
let keys: Keys;

const send = ({ endpoint, as, body }: Attack) => {
  const key = { member: keys.alice, admin: keys.acmeAdmin, operator: keys.operator }[as];
  const isJson = typeof body === 'string';
  const headers = isJson ? { 'content-type': 'application/json' } : {};
  const signal = AbortSignal.timeout(120_000);
  return call(platform.url, endpoint, { key, headers, signal, ...(body === null ? {} : { body }) });
};

async function restorePolicy(): Promise<void> {
  const { status } = await call(platform.url, 'PATCH /admin/tenants/acme', {
    key: keys.operator,
    json: POLICY,
  });
  if (status !== 200) throw new Error(`The policy was not restored: ${status}`);
}

/** Throws where each of the runs has a turn of the event loop that takes longer than it may. */
async function expectNoStall(attack: Attack, maxMs: number): Promise<void> {
  const measured: string[] = [];
  for (let run = 0; run < RUNS; run++) {
    const { result, steps } = await platform.measure(() => send(attack));
    if (attack.endpoint.startsWith('PATCH') && result.status === 200) await restorePolicy();
    expect(result.status, `${attack.surface}, ${attack.shape}: ${result.text.slice(0, 300)}`).not.toBe(500);
    if (steps.longestMs <= maxMs) return;
    measured.push(`${steps.longestMs.toFixed(1)} ms (collector ${steps.collectorMs.toFixed(1)})`);
  }
  const size = typeof attack.body === 'string' ? attack.body.length : 'a form';
  throw new Error(
    `${attack.surface}, ${attack.shape} (${size}): steps of ${measured.join(', ')}, allowed ${maxMs}`,
  );
}

/** A second after the last answer, no thread of the platform is at work. */
async function expectIdle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(await platform.load()).toBeLessThan(MAX_IDLE_LOAD);
}

beforeAll(async () => {
  engine = await startEngineServer(({ path }, response) => {
    if (!path.endsWith('/models')) return sendStream(response, streamOf(['one ', 'two ', 'three']));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ object: 'list', data: [{ id: 'served', object: 'model' }] }));
  });
  platform = await startMeteredPlatform({ INFERENCE_BASE_URL: engine.baseUrl, INFERENCE_MODEL: 'served' });
  keys = await createTenants(platform);
  await restorePolicy();
  // What every request runs is compiled before anything is measured.
  const words = TEXT_SHAPES.filter(({ name }) => /names|different/.test(name));
  for (let nth = 0; nth < 3; nth++) for (const attack of textAttacks(5_000 + nth, words)) await send(attack);
  await restorePolicy();
});
afterAll(async () => {
  await platform?.dispose();
  await engine?.close();
});

describe('bodies of 100 KB', () => {
  const all = textAttacks(USUAL);

  it.each(TEXT_SHAPES.map(({ name }) => name))('as a message: %s', async (shape) => {
    const attack = all.find((one) => one.surface === 'chat completions' && one.shape === shape);
    if (attack !== undefined) await expectNoStall(attack, MAX_USUAL_MS);
  });

  it.each(TEXT_SURFACES.map(({ name }) => name))('on every surface: %s', async (surface) => {
    const own = all.filter((one) => one.surface === surface);
    // Every sixth shape, each surface others: the one above has all of them.
    const first = TEXT_SURFACES.findIndex(({ name }) => name === surface);
    const marks = own.slice(0, 1);
    for (const attack of [...marks, ...own.filter((_, index) => index % 6 === first % 6)])
      await expectNoStall(attack, MAX_USUAL_MS);
    await expectIdle();
  });

  it.each(formAttacks(USUAL).map((attack) => [`${attack.surface}: ${attack.shape}`, attack] as const))(
    'by their form, %s',
    async (_name, attack) => expectNoStall(attack, MAX_USUAL_MS),
  );

  it.each(uploadAttacks(USUAL).map((attack) => [attack.shape, attack] as const))(
    'uploaded: %s',
    async (_name, attack) => expectNoStall(attack, MAX_USUAL_MS),
  );

  it('uploaded, are indexed within a minute, and leave no thread at work', async () => {
    await expect.poll(() => platform.load(), { timeout: 60_000, interval: 500 }).toBeLessThan(MAX_IDLE_LOAD);
  });

  it('whatever fast-check makes of them', async () => {
    const unit = fc.oneof(
      fc.constantFrom(...TEXT_SHAPES.map(({ write }) => write(12))),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }),
      fc.string({ unit: fc.constantFrom('\u0301', '\u0345', '\u200d', '\uff9e', 'a', ' '), minLength: 1 }),
    );
    const text = fc
      .array(fc.tuple(unit, fc.integer({ min: 1, max: 10 })), { minLength: 1, maxLength: 4 })
      .map((parts) => {
        const sum = parts.reduce((total, [, share]) => total + share, 0);
        return parts.map(([one, share]) => repeated(one)((USUAL * 0.9 * share) / sum)).join('');
      });
    const surface = fc.constantFrom(...TEXT_SURFACES);
    await fc.assert(
      fc.asyncProperty(surface, text, async ({ name, endpoint, as, withText, maxCharacters }, written) => {
        const body = JSON.stringify(withText(written.slice(0, maxCharacters ?? USUAL)));
        // Escapes make some texts longer than the bodies that this is about.
        const maxMs = Buffer.byteLength(body) > 1.1 * USUAL ? MAX_LIMIT_MS : MAX_USUAL_MS;
        await expectNoStall({ surface: name, shape: 'generated', endpoint, as, body }, maxMs);
      }),
      { seed: SEED, numRuns: GENERATED, endOnFailure: true },
    );
    await expectIdle();
  });
});

describe('bodies up to the limit', () => {
  const size = LIMIT - 65_536;
  const shapes = ['marks out of order', 'one endless word', 'ellipses', 'private keys in each other'];
  const texts = textAttacks(
    size,
    TEXT_SHAPES.filter(({ name }) => shapes.includes(name)),
  ).filter(({ surface }) => surface === 'chat completions' || surface === 'search');
  const forms = formAttacks(size).filter(({ surface }) => surface !== 'a dry run');

  it.each(
    [...texts, ...forms]
      .filter(({ shape }) => shape !== 'arguments of a call' && shape !== 'ellipses')
      .map((attack) => [`${attack.surface}: ${attack.shape}`, attack] as const),
  )('%s', async (_name, attack) => expectNoStall(attack, MAX_LIMIT_MS));

  it('leave no thread at work', expectIdle);
});

it('no route of the API, whatever it is, stalls on hostile strings or fields', async () => {
  const routes = await readRoutes(platform.url);
  expect(routes.length).toBeGreaterThan(40);
  const strings = repeated('a\u0301\u0316\u0345')(USUAL / 4);
  for (const { method, endpoint, body } of routes) {
    if (method === 'DELETE') continue;
    const bodies =
      body === null
        ? ['{}']
        : [hostileValue(body, strings), wide(body)].map((value) => JSON.stringify(value));
    for (const hostile of bodies) {
      const attack: Attack = {
        surface: endpoint({}),
        shape: 'strings and fields',
        endpoint: endpoint({ tenant_id: 'acme' }),
        as: endpoint({}).includes('/admin') ? 'admin' : 'member',
        body: method === 'GET' ? null : hostile,
      };
      await expectNoStall(attack, MAX_USUAL_MS);
    }
  }
  await restorePolicy();
});

/** A value by the schema in which every string is hostile. */
function hostileValue(schema: JsonSchema, text: string): unknown {
  if (schema.const !== undefined || schema.enum !== undefined) return minimalValue(schema);
  const [alternative] = schema.anyOf ?? schema.oneOf ?? [];
  if (alternative !== undefined) return hostileValue(alternative, text);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'string') return text;
  if (type === 'array') return [hostileValue(schema.items ?? {}, text)];
  if (type !== 'object') return minimalValue(schema);
  const share = text.slice(0, Math.floor(text.length / Math.max(1, schema.required?.length ?? 1)));
  return Object.fromEntries(
    (schema.required ?? []).map((name) => [name, hostileValue(schema.properties?.[name] ?? {}, share)]),
  );
}

/** What the schema requires, and thousands of fields beside. */
const wide = (schema: JsonSchema): unknown => ({
  ...Object(minimalValue(schema)),
  ...Object.fromEntries(Array.from({ length: 6_000 }, (_, index) => [`n${index}`, index])),
});
