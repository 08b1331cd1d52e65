/**
 * What a newcomer does, as CI does it: `npm start` on a fresh data directory, then over HTTP with the keys of
 * `demo.json` a question to each tenant. Acme must get a correct, cited answer within a minute; globex must not.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { startChildService, untilReady } from '../test/support/child-service.ts';
import { freePort } from '../test/support/free-port.ts';
import { at, call, eventually, listAt, textAt } from '../test/support/http-client.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const LIMIT_MS = 60_000;
const QUESTION = 'How long is a major release supported?';
const EVIDENCE = 'six months';
const NOT_IN_DOCUMENTS = 'I could not find an answer to that in your documents.';

const demoSchema = z.object({
  url: z.url(),
  operator_key: z.string(),
  tenants: z.array(
    z.object({ tenant_id: z.string(), api_key: z.string(), admin_key: z.string(), user_id: z.string() }),
  ),
});

const dataDirectory = await mkdtemp(join(tmpdir(), 'bulkhead-first-run-'));
const port = await freePort();
const began = performance.now();
const seconds = () => `${((performance.now() - began) / 1_000).toFixed(1)} s`;
const child = startChildService({
  name: 'npm start',
  command: 'npm',
  args: ['start'],
  cwd: ROOT,
  env: { ...process.env, BULKHEAD_DATA_DIR: dataDirectory, PORT: String(port) },
});
try {
  const demo = await untilReady(
    child,
    async () => demoSchema.parse(JSON.parse(await readFile(join(dataDirectory, 'demo.json'), 'utf8'))),
    LIMIT_MS,
  );
  console.log(`demo.json is there after ${seconds()}: ${demo.url}`);
  if (new URL(demo.url).port !== String(port)) throw new Error(`PORT=${port} was not kept.`);
  const keyOf = (tenantId: string) => {
    const tenant = demo.tenants.find(({ tenant_id }) => tenant_id === tenantId);
    if (tenant === undefined) throw new Error(`There is no tenant ${tenantId}.`);
    return tenant.api_key;
  };
  const ask = (tenantId: string) =>
    call(demo.url, 'POST /v1/chat', { key: keyOf(tenantId), json: { message: QUESTION } });

  const answer = await eventually(
    'a cited, correct answer',
    async () => {
      const { status, json } = await ask('acme');
      if (status !== 200) throw new Error(`The question was refused: ${JSON.stringify(json)}`);
      return textAt(json, 'answer').includes(EVIDENCE) ? json : undefined;
    },
    LIMIT_MS - (performance.now() - began),
  );
  if (listAt(answer, 'citations').length === 0) throw new Error('The answer cites nothing.');
  console.log(`acme has its answer after ${seconds()}: ${textAt(answer, 'answer')}`);
  console.log(`  cited: ${textAt(answer, 'citations.0.title')}, ${textAt(answer, 'citations.0.chunk_id')}`);

  const other = (await ask('globex')).json;
  if (textAt(other, 'answer') !== NOT_IN_DOCUMENTS || at(other, 'citations.0') !== undefined) {
    throw new Error(`globex got an answer: ${JSON.stringify(other)}`);
  }
  console.log(`globex is told: ${textAt(other, 'answer')}`);
  await child.interrupt();
  console.log('Ctrl-C stopped it in order');
} catch (error) {
  console.error(child.stdout().slice(-4_000), child.stderr().slice(-4_000));
  throw error;
} finally {
  await child.kill();
  await rm(dataDirectory, { recursive: true, force: true });
}
