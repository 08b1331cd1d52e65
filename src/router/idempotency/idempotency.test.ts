import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '#observability/logger.ts';
import { createIdempotencyStore } from '#router/idempotency/idempotency-store.ts';
import { createSealedAnswers } from '#router/idempotency/sealed-answers.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

let open: Awaited<ReturnType<typeof createTestDatabase>>;
let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
beforeAll(async () => {
  open = await createTestDatabase();
  fixture = await createRouterFixture({ database: open.database, logger: silentLogger });
});
afterAll(async () => {
  await fixture.close();
  await open.close();
});

function post(url: string, key: string | undefined, payload: object, headers: object = fixture.operator) {
  return fixture.app.inject({
    method: 'POST',
    url,
    headers: { ...headers, ...(key === undefined ? {} : { 'idempotency-key': key }) },
    payload,
  });
}
const tenant = (tenant_id: string) => ({ tenant_id, display_name: tenant_id });

async function superuser<Row>(sql: string): Promise<Row[]> {
  if (open.jobs.kind !== 'pglite') throw new Error('The test database is not PGlite.');
  return (await open.jobs.pglite.query<Row>(sql)).rows;
}

/** A tenant of this database, and its admin. */
async function newTenant(id: string) {
  expect((await post('/admin/tenants', undefined, tenant(id))).statusCode).toBe(201);
  const { api_key } = (
    await post(`/admin/tenants/${id}/keys`, undefined, { user_id: 'root', role: 'admin' })
  ).json();
  return { authorization: `Bearer ${api_key}` };
}

describe('a POST with an Idempotency-Key', () => {
  test('is done once and answered the same, header for header', async () => {
    const first = await post('/admin/tenants', 'create-1', tenant('once'));
    const again = await post('/admin/tenants', 'create-1', tenant('once'));
    expect([first.statusCode, again.statusCode]).toEqual([201, 201]);
    expect(again.body).toBe(first.body);
    for (const name of ['etag', 'location', 'content-type'])
      expect(again.headers[name]).toBe(first.headers[name]);
    expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([
      undefined,
      'true',
    ]);
    expect((await post('/admin/tenants', 'create-2', tenant('once'))).statusCode).toBe(409);
  });

  test('makes one key, however many are sent at once, and stores no secret in clear', async () => {
    await newTenant('burst');
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post('/admin/tenants/burst/keys', 'key-1', { user_id: 'peter' })),
    );
    for (const { statusCode } of answers) expect([201, 409]).toContain(statusCode);
    const secrets = new Set(answers.filter((one) => one.statusCode === 201).map((one) => one.json().api_key));
    expect(secrets.size).toBe(1);
    const replay = await post('/admin/tenants/burst/keys', 'key-1', { user_id: 'peter' });
    expect(secrets).toEqual(new Set([replay.json().api_key]));
    const keys = await superuser<{ user_id: string }>(
      `SELECT user_id FROM bulkhead.api_keys WHERE tenant_id = 'burst' AND user_id = 'peter'`,
    );
    expect(keys).toHaveLength(1);

    const secret = String(replay.json().api_key).slice(30);
    const tables = await superuser<{ name: string }>(
      `SELECT 'bulkhead.' || quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'bulkhead'`,
    );
    for (const { name } of tables) {
      const rows = await superuser<{ text: string }>(`SELECT row::text AS text FROM ${name} AS row`);
      for (const { text } of rows) {
        expect(text).not.toContain(secret);
        expect(text).not.toContain(Buffer.from(secret).toString('base64').slice(0, 40));
      }
    }
  });

  test('is refused where the same key asks for something else', async () => {
    await newTenant('reuse');
    expect((await post('/admin/tenants/reuse/keys', 'k', { user_id: 'a' })).statusCode).toBe(201);
    for (const [url, payload] of [
      ['/admin/tenants/reuse/keys', { user_id: 'b' }],
      ['/admin/tenants', tenant('reuse-2')],
      ['/admin/tenants/burst/keys', { user_id: 'a' }],
    ] as const) {
      const response = await post(url, 'k', payload);
      expect([response.statusCode, response.json().code]).toEqual([422, 'idempotency_key_reused']);
    }
  });

  test('is the caller’s own: others with the same key get their own answers', async () => {
    const [one, other] = [await newTenant('mine'), await newTenant('theirs')];
    const keyOf = async (id: string, headers: object) =>
      (await post(`/admin/tenants/${id}/keys`, 'shared', { user_id: 'a' }, headers)).json();
    const [mine, theirs, operators] = [
      await keyOf('mine', one),
      await keyOf('theirs', other),
      await keyOf('mine', fixture.operator),
    ];
    expect(new Set([mine.api_key, theirs.api_key, operators.api_key]).size).toBe(3);
    expect((await keyOf('mine', one)).api_key).toBe(mine.api_key);
    // A credential that is refused hears nothing of what was answered before.
    expect((await post('/admin/tenants/mine/keys', 'shared', { user_id: 'a' }, {})).statusCode).toBe(401);
    const foreign = await post('/admin/tenants/mine/keys', 'foreign', { user_id: 'a' }, other);
    expect(foreign.statusCode).toBe(404);
  });

  test('may be tried again where it was refused, and is done again after a day', async () => {
    const missing = () => post('/admin/tenants/late/keys', 'retry', { user_id: 'a' });
    expect((await missing()).statusCode).toBe(404);
    await newTenant('late');
    const made = await missing();
    expect(made.statusCode).toBe(201);
    await superuser(`UPDATE bulkhead.idempotency_keys SET created_at = now() - interval '25 hours'`);
    const later = await missing();
    expect(later.statusCode).toBe(201);
    expect(later.json().key_id).not.toBe(made.json().key_id);
  });

  test.each(['', 'a b', 'ä', 'x'.repeat(256)])('has no key %j', async (key) => {
    const response = await post('/admin/tenants', key, tenant('bad-key'));
    expect([response.statusCode, response.json().param]).toEqual([400, 'idempotency-key']);
  });
});

describe('the store', () => {
  const sealed = createSealedAnswers('pepper');
  const asked = ['POST', '/x', '{}'];
  const answer = { status: 201, headers: {}, body: 'x' };

  test('says that a first request is under way, or was cut off', async () => {
    const store = createIdempotencyStore({ database: open.database, sealed });
    const request = { caller: 'c', key: 'k', asked, tenantId: null, isRepeatable: false };
    const reservation = await store.begin(request);
    if (!('fingerprint' in reservation)) throw new Error('no reservation');
    await expect(store.begin(request)).rejects.toMatchObject({ code: 'conflict', param: 'idempotency-key' });
    await store.abandon(reservation);
    const second = await store.begin(request);
    if (!('fingerprint' in second)) throw new Error('no reservation');
    await store.finish(second, answer, null);
    // Too late: what was answered is not taken back.
    await store.abandon(second);
    expect(await store.begin(request)).toEqual(answer);
  });

  test('gives a key that was cut off to another request, where doing it again does nothing twice', async () => {
    const store = createIdempotencyStore({ database: open.database, sealed });
    const request = { caller: 'c', key: 'cut off', asked, tenantId: null, isRepeatable: true };
    const begin = async (fields: Partial<typeof request> = {}) => {
      const found = await store.begin({ ...request, ...fields });
      if (!('fingerprint' in found)) throw new Error('no reservation');
      return found;
    };
    const age = (minutes: number) =>
      superuser(
        `UPDATE bulkhead.idempotency_keys SET created_at = created_at - interval '${minutes} minutes' WHERE answer IS NULL`,
      );
    const first = await begin();
    await age(9);
    await expect(begin()).rejects.toMatchObject({ code: 'conflict' });
    await age(2);
    await expect(begin({ isRepeatable: false })).rejects.toMatchObject({ code: 'conflict' });
    const [second, late] = await Promise.allSettled([
      begin({ asked: ['other'] }),
      begin({ asked: ['other'] }),
    ]);
    const outcomes = [second.status, late.status].sort();
    expect(outcomes).toEqual(['fulfilled', 'rejected']);
    // The first was slow, not gone: its answer is not that of the other request.
    await store.finish(first, { ...answer, body: 'of the first' }, null);
    await store.abandon(first);
    await expect(begin({ asked: ['other'] })).rejects.toMatchObject({ code: 'conflict' });
    const winner =
      second.status === 'fulfilled' ? second.value : late.status === 'fulfilled' ? late.value : first;
    await store.finish(winner, answer, null);
    expect(await store.begin({ ...request, asked: ['other'] })).toEqual(answer);
    // What is answered is kept for its whole time.
    await superuser(`UPDATE bulkhead.idempotency_keys SET created_at = created_at - interval '60 minutes'`);
    expect(await store.begin({ ...request, asked: ['other'] })).toEqual(answer);
  });

  test('bounds the keys of a caller', { timeout: 60_000 }, async () => {
    const store = createIdempotencyStore({ database: open.database, sealed });
    await superuser(
      `INSERT INTO bulkhead.idempotency_keys (fingerprint, request_hmac, caller)
       SELECT 'flood' || n, 'x', 'flooder' FROM generate_series(1, 10000) AS n`,
    );
    const begin = () =>
      store.begin({ caller: 'flooder', key: 'one more', asked, tenantId: null, isRepeatable: true });
    await expect(begin()).rejects.toMatchObject({ code: 'rate_limit_exceeded' });
    await superuser(`UPDATE bulkhead.idempotency_keys SET created_at = now() - interval '2 days'`);
    await store.purge();
    expect(await superuser('SELECT 1 FROM bulkhead.idempotency_keys')).toEqual([]);
    await expect(begin()).resolves.toHaveProperty('fingerprint');
  });

  test('opens what it sealed, for this key and this pepper alone', () => {
    const text = sealed.seal('one', answer);
    expect(sealed.open('one', text)).toEqual(answer);
    expect(() => sealed.open('other', text)).toThrow();
    expect(() => createSealedAnswers('another').open('one', text)).toThrow();
    const bytes = Buffer.from(text, 'base64');
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    expect(() => sealed.open('one', bytes.toString('base64'))).toThrow();
    expect(sealed.hmac('a', 'bc')).not.toBe(sealed.hmac('ab', 'c'));
  });
});
