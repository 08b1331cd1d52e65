import { once } from 'node:events';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { multiTenantChatResponseSchema } from '#app/schemas/multi-tenant-chat-request.ts';
import { requestLogDetailSchema } from '#app/schemas/request-log.ts';
import { vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import { runCli } from '#cli/run-cli.ts';
import { type CliPlatform, startCliPlatform } from '#test/support/cli-platform.ts';
import { createTestIo } from '#test/support/test-io.ts';

const HANDBOOK = `# Handbook

## Holidays

Every employee has twenty-nine days of holiday in a year. Holidays are asked for in the calendar, two weeks before.

## Parking

The garage below the building has forty places. Bicycles are parked in the yard.
`;

let started: CliPlatform;
let root: string;
let data: string;
let platform: CliPlatform['platform'];
let aliceKey: string;
let adminKey: string;
let bobKey: string;
const cli: CliPlatform['cli'] = (...command) => started.cli(...command);

beforeAll(async () => {
  started = await startCliPlatform();
  ({ root, data, platform } = started);
  await mkdir(join(root, 'docs'));
  await writeFile(join(root, 'docs/handbook.md'), HANDBOOK);
  await writeFile(join(root, 'docs/empty.md'), '');
  for (const tenant of ['acme', 'globex']) {
    expect(await cli(['tenant', 'create', tenant])).toMatchObject({ code: 0, err: '' });
  }
  aliceKey = await started.createKey('acme', 'alice');
  adminKey = await started.createKey('acme', 'ada', 'admin');
  bobKey = await started.createKey('globex', 'bob');
});
afterAll(() => started.stop());

describe('tenants and keys', () => {
  it('lists, shows and changes tenants', async () => {
    const set = await cli([
      'tenant',
      'set',
      'acme',
      'rate_limits.requests_per_minute=5000',
      'display_name=Acme Ltd',
    ]);
    expect(set).toMatchObject({ code: 0, out: 'Tenant acme is at version 2 now.\n' });
    expect((await cli(['tenant', 'list'])).out).toMatch(/acme +Acme Ltd +yes +5000/);
    const shown = JSON.parse((await cli(['tenant', 'show', 'acme'])).out);
    expect(shown.config.rate_limits).toMatchObject({ requests_per_minute: 5000, requests_per_hour: 3600 });
  });

  it('says which setting is wrong, before anything is sent', async () => {
    const { code, err } = await cli(['tenant', 'set', 'acme', 'rag.top_k=0', 'wieght=2']);
    expect(code).toBe(2);
    expect(err).toContain('rag.top_k');
    expect(err).toContain('wieght');
  });

  it('shows the request log, and one request of it', async () => {
    expect((await cli(['usage', '--key', adminKey])).code).toBe(0);
    let listed = await cli(['requests', 'acme', '--limit', '100']);
    // Rows are written when the answers have long been out.
    while (!/ req_[0-9a-z]{26} /.test(listed.out)) listed = await cli(['requests', 'acme', '--limit', '100']);
    const id = /req_[0-9a-z]{26}/.exec(listed.out)?.[0] ?? '';
    const one = requestLogDetailSchema.parse(JSON.parse((await cli(['requests', 'acme', id])).out));
    expect(one).toMatchObject({ request_id: id, tenant_id: 'acme', bodies: null });
    const filtered = await cli(['requests', 'acme', '--user', one.user_id, '--outcome', one.outcome]);
    expect(filtered.out).toContain(id);
    const foreign = await cli(['requests', 'globex', id, '--key', adminKey]);
    expect([foreign.code, foreign.err]).toEqual([1, expect.stringContaining('no such')]);
  });

  it('exports a tenant to a new file, and leaves none where it cannot', async () => {
    const file = join(root, 'acme.tar.gz');
    const { code, out } = await cli(['tenant', 'export', 'acme', '-o', 'acme.tar.gz', '--json']);
    expect([code, JSON.parse(out)]).toEqual([
      0,
      { tenant_id: 'acme', file: 'acme.tar.gz', bytes: expect.any(Number) },
    ]);
    const archive = await readFile(file);
    expect(archive).toHaveLength(JSON.parse(out).bytes);
    expect(gunzipSync(archive).toString('latin1')).toContain('manifest.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await cli(['tenant', 'export', 'acme', '-o', file]);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('EEXIST')]);
    expect(await readFile(file)).toEqual(archive);
    const foreign = await cli(['tenant', 'export', 'globex', '-o', 'globex.tar.gz', '--key', adminKey]);
    expect([foreign.code, foreign.err]).toEqual([1, expect.stringContaining('no such tenant')]);
    await expect(stat(join(root, 'globex.tar.gz'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('shows the audit, and whether its chain holds', async () => {
    expect((await cli(['audit', 'acme'])).out).toMatch(/tenant\.created +acme/);
    expect((await cli(['audit'])).out).toMatch(/operator:.* +tenant\.created +globex/);
    expect((await cli(['audit', 'acme', '--verify'])).out).toMatch(/^The chain holds: \d+ events, head /);
    const foreign = await cli(['audit', 'globex', '--key', adminKey]);
    expect([foreign.code, foreign.err]).toEqual([1, expect.stringContaining('not_found')]);
  });

  it('passes on what the server refuses, with code and request id', async () => {
    const { code, err } = await cli(['tenant', 'create', 'acme']);
    expect(code).toBe(1);
    expect(err).toMatch(/conflict; field tenant_id; request req_/);
  });

  it('revokes a key, by its id or the whole of it', async () => {
    const key = await started.createKey('globex', 'temp');
    expect((await cli(['key', 'revoke', 'globex', key])).out).toContain('is revoked');
    expect((await cli(['key', 'list', 'globex'])).out).toMatch(/temp +member +.*revoked/);
    const { code, err } = await cli(['usage', '--key', key]);
    expect(code).toBe(1);
    expect(err).toContain('invalid_credential');
  });

  it('lets a tenant admin manage the own tenant’s keys, and no other’s', async () => {
    const own = await cli(['key', 'list', 'acme', '--key', adminKey, '--json']);
    expect(own.code).toBe(0);
    const foreign = await cli(['key', 'list', 'globex', '--key', adminKey, '--json']);
    const missing = await cli(['key', 'list', 'nobody', '--key', adminKey, '--json']);
    expect(foreign.code).toBe(1);
    const withoutIds = (text: string) => text.replace(/req_\w+/g, '');
    expect(withoutIds(foreign.err)).toBe(withoutIds(missing.err));
  });
});

describe('documents and answers', () => {
  const ingested = z.object({
    documents: z.array(vaultDocumentSchema),
    failures: z.array(z.object({ file: z.string(), code: z.string(), message: z.string() })),
  });

  it('ingests a directory until it is ready, lists what failed, and fails then', async () => {
    const { code, out, err } = await cli([
      'ingest',
      join(root, 'docs'),
      join(root, 'no'),
      '--key',
      aliceKey,
      '--json',
    ]);
    expect(code).toBe(1);
    const result = ingested.parse(JSON.parse(out));
    expect(result.documents.filter(({ status }) => status === 'ready').map((d) => d.filename)).toEqual([
      'handbook.md',
    ]);
    expect(result.failures.map(({ code: failure }) => failure).sort()).toEqual(['ENOENT', 'invalid_request']);
    expect(err).toContain('ready   handbook.md');
  });

  it('shares with the tenant only with a key that may', async () => {
    const file = join(root, 'docs/handbook.md');
    const refused = await cli(['ingest', file, '--share', '--key', aliceKey]);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.err).toContain('vault:share');
    expect(await cli(['ingest', file, '--share', '--title', 'Shared', '--key', adminKey])).toMatchObject({
      code: 0,
    });
    expect((await cli(['documents', 'list', '--key', aliceKey])).out).toMatch(
      /Shared +tenant +default +ready/,
    );
  });

  it('keeps documents of a collection together', async () => {
    const garage = await cli(['key', 'create', 'acme', '--user', 'alice', '--collections', 'garage']);
    const key = /^bk_\S+$/m.exec(garage.out)?.[0] ?? '';
    await writeFile(join(root, 'bicycles.md'), '# Bicycles\n\nThe bicycle garage has thirty-one places.\n');
    const added = await cli([
      'ingest',
      join(root, 'bicycles.md'),
      '--collection',
      'garage',
      '--key',
      aliceKey,
    ]);
    expect(added).toMatchObject({ code: 0 });
    const listed = await cli(['documents', 'list', '--collection', 'garage', '--key', aliceKey]);
    expect(listed.out).toContain('Bicycles');
    expect(listed.out).not.toContain('Shared');
    const question = 'How many places has the bicycle garage?';
    for (const own of [[], ['--key', key]]) {
      const asked = await cli(['chat', question, '--collection', 'garage', '--key', aliceKey, ...own]);
      expect(asked.out).toContain('thirty-one');
    }
    for (const words of ['days of holiday', question]) {
      const elsewhere = ['--collection', words === question ? 'default' : 'garage', '--key', aliceKey];
      const found = await cli(['search', words, ...elsewhere]);
      expect(found.out).not.toContain(words === question ? 'thirty-one' : 'twenty-nine');
      const answered = await cli(['chat', words, ...elsewhere]);
      expect(answered.out).not.toContain(words === question ? 'thirty-one' : 'twenty-nine');
    }
    const wrong = await cli(['search', 'x', '--collection', 'No Such', '--key', aliceKey]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('a-z, 0-9')]);
  });

  it('finds passages', async () => {
    const { out } = await cli(['search', 'days of holiday', '--top-k', '1', '--key', aliceKey]);
    expect(out).toContain('Holidays');
    expect(out).toContain('twenty-nine');
  });

  it('answers with citations, and another tenant with nothing', async () => {
    const question = 'How many days of holiday does an employee have?';
    const answered = await cli(['chat', question, '--key', aliceKey]);
    expect(answered).toMatchObject({ code: 0 });
    expect(answered.out).toContain('twenty-nine days');
    expect(answered.out).toMatch(/\[\d\] .*handbook/i);
    expect(answered.out).toContain('extractive');
    const foreign = await cli(['chat', question, '--key', bobKey, '--json']);
    const answer = multiTenantChatResponseSchema.parse(JSON.parse(foreign.out));
    expect(answer).toMatchObject({ tenant_id: 'globex', citations: [], chunk_ids: [] });
    expect(foreign.out).not.toContain('twenty-nine');
  });

  it('continues a conversation, and refuses one of somebody else as one that is not', async () => {
    const first = await cli(['chat', 'How many places has the garage?', '--key', aliceKey, '--json']);
    const { conversation_id: id } = multiTenantChatResponseSchema.parse(JSON.parse(first.out));
    const next = await cli(['chat', 'And bicycles?', '--conversation', id, '--key', aliceKey, '--json']);
    expect(multiTenantChatResponseSchema.parse(JSON.parse(next.out)).conversation_id).toBe(id);
    const foreign = await cli(['chat', 'And bicycles?', '--conversation', id, '--key', bobKey]);
    expect(foreign).toMatchObject({ code: 1 });
    expect(foreign.err).toContain('not_found');
  });

  it('holds a conversation over its input', async () => {
    const { code, out } = await cli(['chat', '--key', aliceKey], {
      stdin: 'How many days of holiday are there?\n\n/new\nWhere are bicycles parked?\n/exit\nnever asked\n',
    });
    expect(code).toBe(0);
    expect(out).toContain('twenty-nine');
    expect(out).toContain('yard');
    expect(out.match(/extractive/g)).toHaveLength(2);
  });

  it('stops an answer on Ctrl-C', async () => {
    const io = createTestIo({ cwd: root, env: { BULKHEAD_DATA_DIR: data } });
    const running = runCli(['chat', 'How many days of holiday are there?', '--key', aliceKey], io);
    io.interrupt();
    const timer = setInterval(() => io.interrupt(), 1);
    expect([0, 130]).toContain(await running);
    clearInterval(timer);
  });

  it('deletes documents, which are gone from search then', async () => {
    const list = await cli(['documents', '--key', aliceKey, '--json']);
    const own = z.object({ data: z.array(vaultDocumentSchema) }).parse(JSON.parse(list.out)).data;
    const mine = own.filter(({ user_id }) => user_id === 'alice').map(({ document_id }) => document_id);
    expect((await cli(['documents', 'delete', ...mine, '--key', bobKey])).err).toContain('not_found');
    expect(await cli(['documents', 'delete', ...mine, '--key', aliceKey])).toMatchObject({ code: 0 });
    const left = await cli(['documents', '--key', aliceKey]);
    expect(left.out).toContain('Shared');
    for (const id of mine) expect(left.out).not.toContain(id);
  });

  it('counts it all in usage', async () => {
    expect((await cli(['usage', '--key', aliceKey])).out).toMatch(/^rag +\d+/m);
    expect((await cli(['usage', '--all-tenants'])).out).toMatch(/acme +\d+[\s\S]*globex +\d+/);
  });
});

describe('the command line', () => {
  it('helps', async () => {
    const { code, out } = await cli(['--help']);
    expect(code).toBe(0);
    for (const command of ['up', 'tenant', 'key', 'ingest', 'chat', 'search', 'documents', 'usage']) {
      expect(out).toContain(command);
    }
  });

  it.each([
    [['chatt', 'x'], 'chat'],
    [['search', 'x', '--top-k', '0'], 'whole number'],
    [['key', 'create', 'acme'], '--user'],
    [['key', 'create', 'acme', '--user', 'a', '--role', 'root'], 'member'],
    [['tenant', 'show', '../keys'], 'tenant id'],
    [['documents', 'delete', '../x'], 'document id'],
    [['chat', 'x', '--conversation', 'conv_1'], 'conversation id'],
    [['chat', 'x', '--route', 'direct'], 'rag or chat'],
  ])('says what is wrong with %j and exits with 2', async (args, words) => {
    const { code, err } = await cli(args);
    expect(code).toBe(2);
    expect(err).toContain(words);
  });

  it('says how to start a server when none answers', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    server.close();
    const { code, err } = await cli(['usage', '--url', `http://127.0.0.1:${port}`, '--key', 'x']);
    expect(code).toBe(1);
    expect(err).toContain('npm start');
  });

  it('says when what answers is no Bulkhead', async () => {
    const { code, err } = await cli(['usage', '--url', `${platform.url}/docs`, '--key', aliceKey]);
    expect(code).toBe(1);
    expect(err).not.toContain('at runCli');
  });

  it('refuses a second start on the same data directory', async () => {
    const { code, err } = await cli(['up'], { env: { PORT: '0', BULKHEAD_DEMO: 'off' } });
    expect(code).toBe(1);
    expect(err).toContain(`process ${process.pid}`);
    expect(err).toContain(data);
  });

  it('does not start where a library would send customers’ texts to a third party', async () => {
    const { code, err } = await cli(['up'], { env: { LANGSMITH_TRACING: 'true', PORT: '0' } });
    expect([code, err]).toEqual([1, expect.stringContaining('LANGSMITH_TRACING: must not be set')]);
  });

  it('names every setting that is wrong', async () => {
    const { code, err } = await cli(['up'], { env: { PORT: 'http', BULKHEAD_DEMO: 'maybe' } });
    expect(code).toBe(1);
    expect(err).toMatch(/PORT[\s\S]*BULKHEAD_DEMO/);
  });
});
