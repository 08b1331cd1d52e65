import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tenantIdSchema } from '#app/ids.ts';
import { auditPageSchema, auditVerificationSchema } from '#app/schemas/audit-event.ts';
import { uploadText } from '#test/support/create-test-rag.ts';
import { createPlantedTenants } from '#test/support/planted-tenants.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';
import { testContext } from '#test/support/test-context.ts';

/** Strings that are the doomed tenant's alone, planted wherever it can put one. */
const CANARY = 'canary7f3a9';
const KEPT = 'keeper5d1c2';
const never = new AbortController().signal;

let planted: Awaited<ReturnType<typeof createPlantedTenants>>;
let testRag: (typeof planted)['testRag'];
let superuser: (typeof planted)['superuser'];
let fixture: (typeof planted)['fixture'];
let call: (typeof planted)['call'];
let plant: (typeof planted)['plant'];
let tablesWith: (typeof planted)['tablesWith'];
let filesWith: (typeof planted)['filesWith'];
/** Fails as often as this says, as a service that is away would. */
let failures = 0;

beforeAll(async () => {
  planted = await createPlantedTenants((service) => ({
    ...service,
    async eraseTenant(context, signal) {
      if (failures-- > 0) throw new Error('away');
      await service.eraseTenant(context, signal);
    },
  }));
  ({ testRag, superuser, fixture, call, plant, tablesWith, filesWith } = planted);
});
afterAll(() => planted.close());

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
    // Asked for, usage is brought to the database first.
    await call('GET', '/admin/usage', fixture.operator);
    const before = { tables: await tablesWith(CANARY), files: await filesWith(CANARY) };
    // Every table that names a tenant, those that were added later too; chains, months and sums hold no text, an
    // erasure comes later.
    const withoutText = ['audit_chains', 'usage_months', 'storage_used', 'tenant_erasures'];
    const tables = (await planted.tenantTables()).filter((name) => !withoutText.includes(name));
    expect(tables.length).toBeGreaterThan(8);
    expect(before.tables).toEqual(expect.arrayContaining(tables.map((name) => `bulkhead.${name}`)));
    expect(before.files.some((path) => path.includes('/vault/'))).toBe(true);
    expect(before.files.some((path) => path.includes('/index/'))).toBe(true);
    const keptBefore = { tables: await tablesWith(KEPT), files: await filesWith(KEPT) };

    const erased = await call('DELETE', '/admin/tenants/doomed', fixture.operator, { confirm: 'doomed' });
    expect(erased).toEqual({ status: 200, body: { tenant_id: 'doomed', status: 'erased' } });

    expect(await tablesWith(CANARY)).toEqual([]);
    expect(await filesWith(CANARY)).toEqual([]);
    expect(await tablesWith(KEPT)).toEqual(expect.arrayContaining(keptBefore.tables));
    // The index may have been tidied up meanwhile; that it still answers is asked below.
    const documents = keptBefore.files.filter((path) => path.includes('/vault/'));
    expect(documents.length).toBeGreaterThan(0);
    expect(await filesWith(KEPT)).toEqual(expect.arrayContaining(documents));
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
