import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tenantIdSchema } from '#app/ids.ts';
import { auditPageSchema, auditVerificationSchema } from '#app/schemas/audit-event.ts';
import type { RagService } from '#app/services/rag-service.ts';
import { createTestRag, finished, type TestRag, uploadText } from '#test/support/create-test-rag.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';
import { testContext } from '#test/support/test-context.ts';

/** Strings that are the doomed tenant's alone, planted wherever it can put one. */
const CANARY = 'canary7f3a9';
const KEPT = 'keeper5d1c2';
const never = new AbortController().signal;

let testRag: TestRag;
let superuser: PGlite;
let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
/** Fails as often as this says, as a service that is away would. */
let failures = 0;

beforeAll(async () => {
  testRag = await createTestRag([]);
  if (testRag.open.jobs.kind !== 'pglite') throw new Error('The test database is not PGlite.');
  superuser = testRag.open.jobs.pglite;
  const rag: RagService = {
    ...testRag.current().service,
    async eraseTenant(context, signal) {
      if (failures-- > 0) throw new Error('away');
      await testRag.current().service.eraseTenant(context, signal);
    },
  };
  fixture = await createRouterFixture({ database: testRag.open.database, rag });
});
afterAll(async () => {
  await fixture.close();
  await testRag.close();
});

async function call(
  method: 'GET' | 'POST' | 'DELETE' | 'PATCH',
  url: string,
  headers: object,
  payload?: object,
) {
  const response = await fixture.app.inject({
    method,
    url,
    headers: { ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: response.statusCode, body: response.json() };
}

async function keyFor(tenant: string, user: string, role: string) {
  const url = `/admin/tenants/${tenant}/keys`;
  const { body } = await call('POST', url, fixture.operator, { user_id: user, role, name: `${user} key` });
  return { authorization: `Bearer ${body.api_key}` };
}

/** A tenant with something of it in every table and directory; its admin's credential. */
async function plant(tenant: string, mark: string) {
  const config = { tenant_id: tenant, display_name: mark, refusal_rules: [{ name: mark, phrases: [mark] }] };
  expect((await call('POST', '/admin/tenants', fixture.operator, config)).status).toBe(201);
  const admin = await keyFor(tenant, mark, 'admin');
  await call('PATCH', `/admin/tenants/${tenant}`, admin, { blocked_tools: [mark] });
  const context = testContext(tenant, mark);
  const { service } = testRag.current();
  const upload = { filename: `${mark}.md`, title: mark };
  const document = await uploadText(service, context, `# About ${mark}\n\nThe word is ${mark}.`, upload);
  expect((await finished(service, context, document.document_id)).status).toBe('ready');
  await testRag.open.database.asUser(context, async (transaction) => {
    await transaction.query(
      `INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title) VALUES ($1, $2, $3, $3)`,
      [tenant, `conv-${mark}`, mark],
    );
    await transaction.query(
      `INSERT INTO bulkhead.messages (tenant_id, conversation_id, message_id, user_id, ordinal, role, content, request_id)
       VALUES ($1, $2, $2, $3, 0, 'user', $3, 'r')`,
      [tenant, `conv-${mark}`, mark],
    );
  });
  expect((await call('GET', '/v1/usage', admin)).status).toBe(200);
  // A denial, so that the audit names the user.
  await call('POST', '/admin/tenants', admin, { tenant_id: 'x', display_name: 'x' });
  return { admin, context, document };
}

/** Every table of every schema, as text, that mentions the mark. */
async function tablesWith(mark: string): Promise<string[]> {
  const { rows } = await superuser.query<{ name: string }>(
    `SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  const found: string[] = [];
  for (const { name } of rows) {
    const hits = await superuser.query(`SELECT 1 FROM ${name} AS row WHERE row::text LIKE $1 LIMIT 1`, [
      `%${mark}%`,
    ]);
    if (hits.rows.length > 0) found.push(name);
  }
  return found.sort();
}

/** Every file of the data directory that mentions the mark, by name or content. */
async function filesWith(mark: string): Promise<string[]> {
  const entries = await readdir(testRag.dataDirectory, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (path.includes(mark) || (entry.isFile() && (await readFile(path)).includes(mark))) found.push(path);
  }
  return found;
}

describe('erasing a tenant', () => {
  test('needs an operator, and the tenant’s name again', async () => {
    const { admin } = await plant('initech', 'initechmark');
    const url = '/admin/tenants/initech';
    expect((await call('DELETE', url, admin, { confirm: 'initech' })).status).toBe(403);
    for (const payload of [undefined, {}, { confirm: true }, { confirm: 'globex' }, { confirm: '' }]) {
      const { status } = await call('DELETE', url, fixture.operator, payload);
      expect([400, 415]).toContain(status);
    }
    expect((await call('GET', url, admin)).status).toBe(200);
    for (const id of ['nobody', 'INITECH', '..%2finitech']) {
      const { status } = await call('DELETE', `/admin/tenants/${id}`, fixture.operator, { confirm: id });
      expect([400, 404]).toContain(status);
    }
    // The service behind does not take the router's word, let alone an admin's token, for it.
    const context = testContext('initech', 'initechmark', 'admin');
    await expect(testRag.current().service.eraseTenant(context, never)).rejects.toMatchObject({
      code: 'conflict',
    });
    expect((await call('GET', url, admin)).status).toBe(200);
  });

  test('leaves nothing of it, and all of the others', async () => {
    const doomed = await plant('doomed', CANARY);
    const kept = await plant('kept', KEPT);
    const before = { tables: await tablesWith(CANARY), files: await filesWith(CANARY) };
    expect(before.tables).toEqual(
      expect.arrayContaining([
        'bulkhead.api_keys',
        'bulkhead.audit_events',
        'bulkhead.conversations',
        'bulkhead.documents',
        'bulkhead.messages',
        'bulkhead.tenant_config_versions',
        'bulkhead.tenants',
        'bulkhead.usage_records',
      ]),
    );
    expect(before.files.some((path) => path.includes('/vault/'))).toBe(true);
    expect(before.files.some((path) => path.includes('/index/'))).toBe(true);
    const keptBefore = { tables: await tablesWith(KEPT), files: await filesWith(KEPT) };

    const erased = await call('DELETE', '/admin/tenants/doomed', fixture.operator, { confirm: 'doomed' });
    expect(erased).toEqual({ status: 200, body: { tenant_id: 'doomed', status: 'erased' } });

    expect(await tablesWith(CANARY)).toEqual([]);
    expect(await filesWith(CANARY)).toEqual([]);
    expect(await tablesWith(KEPT)).toEqual(expect.arrayContaining(keptBefore.tables));
    expect(await filesWith(KEPT)).toEqual(expect.arrayContaining(keptBefore.files));
    const { service } = testRag.current();
    const search = { query: `What is the word ${KEPT}?`, top_k: 3, diversity: 0 };
    expect((await service.retrieveForTenant(kept.context, search, never)).chunks.length).toBeGreaterThan(0);
    const gone = await service.retrieveForTenant(doomed.context, { ...search, query: CANARY }, never);
    expect(gone.chunks).toEqual([]);

    // Its credentials are those of nobody, and its id is not given out again.
    expect((await call('GET', '/v1/usage', doomed.admin)).status).toBe(401);
    expect(
      (await call('DELETE', '/admin/tenants/doomed', fixture.operator, { confirm: 'doomed' })).status,
    ).toBe(404);
    const again = await call('POST', '/admin/tenants', fixture.operator, {
      tenant_id: 'doomed',
      display_name: 'x',
    });
    expect(again.status).toBe(409);
    await expect(uploadText(service, doomed.context, `late ${CANARY}`)).rejects.toThrow();
    expect(await filesWith(CANARY)).toEqual([]);

    const { body } = await call('GET', '/admin/audit?limit=100', fixture.operator);
    const told = auditPageSchema.parse(body).data.filter(({ target }) => target === 'doomed');
    expect(told.map(({ action }) => action)).toEqual([
      'tenant.erased',
      'tenant.erasure_started',
      'tenant.created',
    ]);
    const chain = await call('GET', '/admin/audit/verify', fixture.operator);
    expect(auditVerificationSchema.parse(chain.body).valid).toBe(true);
  });

  test('is finished by the next process where one was cut off', async () => {
    const { admin } = await plant('cutoff', 'cutoffmark');
    failures = 1;
    const cut = await call('DELETE', '/admin/tenants/cutoff', fixture.operator, { confirm: 'cutoff' });
    expect(cut.status).toBe(500);
    // It takes nothing any more, although everything is still there.
    expect((await call('GET', '/v1/usage', admin)).status).toBe(401);
    for (const [method, path, payload] of [
      ['GET', '', undefined],
      ['PATCH', '', { weight: 1 }],
      ['POST', '/keys', { user_id: 'x' }],
      ['GET', '/usage', undefined],
    ] as const) {
      const { status } = await call(method, `/admin/tenants/cutoff${path}`, fixture.operator, payload);
      expect([path, status]).toEqual([path, 404]);
    }
    expect(await filesWith('cutoffmark')).not.toEqual([]);
    const next = await createRouterFixture({
      database: testRag.open.database,
      rag: testRag.current().service,
    });
    try {
      const isFinished = async () =>
        (
          await superuser.query(
            `SELECT 1 FROM bulkhead.tenant_erasures WHERE tenant_id = 'cutoff' AND finished_at IS NOT NULL`,
          )
        ).rows.length > 0;
      while (!(await isFinished())) await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await next.close();
    }
    expect([await tablesWith('cutoffmark'), await filesWith('cutoffmark')]).toEqual([[], []]);
  });

  test('reaches every table that names a tenant', async () => {
    const { rows } = await superuser.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'bulkhead'
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT EXISTS (
          SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confdeltype = 'c')`,
    );
    // The tenants themselves; and the ids of erased ones, which are kept so that nobody gets them again.
    expect(rows.map(({ name }) => name).sort()).toEqual(['tenant_erasures', 'tenants']);
    expect(tenantIdSchema.safeParse('*').success).toBe(false);
  });
});
