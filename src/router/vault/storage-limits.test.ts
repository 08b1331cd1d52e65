import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { vectorStoreSchema } from '#router/vault/vector-store.ts';
import { createPlantedTenants } from '#test/support/planted-tenants.ts';

type Headers = Record<string, string>;

let planted: Awaited<ReturnType<typeof createPlantedTenants>>;
let url: string;
let alice: Headers;
let bob: Headers;
let other: Headers;
let admin: Headers;

beforeAll(async () => {
  planted = await createPlantedTenants();
  url = await planted.fixture.app.listen({ host: '127.0.0.1', port: 0 });
  const { operator } = planted.fixture;
  for (const tenant_id of ['full', 'other']) {
    await planted.call('POST', '/admin/tenants', operator, { tenant_id, display_name: tenant_id });
  }
  alice = await planted.keyFor('full', 'alice', 'member');
  bob = await planted.keyFor('full', 'bob', 'service');
  admin = await planted.keyFor('full', 'ada', 'admin');
  other = await planted.keyFor('other', 'alice', 'member');
});
afterAll(() => planted.close());

const setStorage = (storage: object, headers: Headers = planted.fixture.operator, tenant = 'full') =>
  planted.call('PATCH', `/admin/tenants/${tenant}`, headers, { storage });

const uploadedSchema = z.object({
  document_id: z.string().optional(),
  id: z.string().optional(),
  error: z.looseObject({ code: z.string(), refusal: z.unknown() }).nullish(),
});

async function upload(headers: Headers, path: string, filename: string, bytes: number, fields = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries({
    ...(path === '/v1/files' ? { purpose: 'assistants' } : {}),
    ...fields,
  })) {
    form.append(name, String(value));
  }
  form.append(
    'file',
    new Blob([filename.padEnd(bytes, '.').slice(0, bytes)], { type: 'text/plain' }),
    filename,
  );
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: form });
  const body = uploadedSchema.parse(await response.json());
  return { status: response.status, id: body.document_id ?? body.id, error: body.error };
}

async function remove(headers: Headers, id: string | undefined): Promise<void> {
  const { status } = await fetch(`${url}/v1/vault/documents/${id}`, { method: 'DELETE', headers });
  expect(status).toBe(204);
}

async function storageOf(headers: Headers) {
  const { body } = await planted.call('GET', '/v1/vector_stores/vs_vault', headers);
  return vectorStoreSchema.parse(body).storage;
}

const WAYS = ['/v1/vault/documents', '/v1/files'] as const;

test('what the policy does not say is the default of the deployment', async () => {
  const expected = { documents: 0, bytes: 0, max_documents: 100_000, max_bytes: 10_737_418_240 };
  expect(await storageOf(admin)).toEqual(expected);
});

test.each(WAYS)('bytes are limited for all users of the tenant together: %s', async (path) => {
  await setStorage({ max_bytes: 1_000, max_documents: null });
  const first = await upload(alice, path, `a${path.length}.txt`, 600);
  expect(first.status).toBeLessThan(300);
  // As large as there is room for.
  const second = await upload(bob, path, `b${path.length}.txt`, 400, { visibility: 'tenant' });
  expect(second.status).toBeLessThan(300);
  const refused = await upload(alice, path, `c${path.length}.txt`, 1);
  expect(refused).toMatchObject({
    status: 413,
    error: {
      code: 'storage_exceeded',
      type: 'insufficient_quota',
      message:
        'The tenant may store 1000 bytes and has 1000: a file of 1 is too much. Delete some documents, or ask the operator for more.',
      refusal: { policy: 'storage.max_bytes', limit: 1_000, current: 1_000 },
    },
  });
  expect(await storageOf(admin)).toMatchObject({ documents: 2, bytes: 1_000, max_bytes: 1_000 });
  // The same file again is the same document, and takes no room.
  expect(await upload(alice, path, `a${path.length}.txt`, 600)).toMatchObject({ id: first.id });
  // Another tenant has room of its own.
  expect((await upload(other, path, `c${path.length}.txt`, 1)).status).toBeLessThan(300);
  await remove(alice, first.id);
  expect(await storageOf(admin)).toMatchObject({ documents: 1, bytes: 400 });
  const again = await upload(alice, path, `c${path.length}.txt`, 600);
  expect(again.status).toBeLessThan(300);
  await remove(bob, second.id);
  await remove(alice, again.id);
  expect(await storageOf(admin)).toMatchObject({ documents: 0, bytes: 0 });
});

test('documents are limited, and many at once get as many places as there are', async () => {
  await setStorage({ max_bytes: null, max_documents: 3 });
  const uploads = Array.from({ length: 12 }, (_, n) =>
    upload(n % 2 === 0 ? alice : bob, WAYS[n % 2] ?? WAYS[0], `many-${n}.txt`, 20),
  );
  const answers = await Promise.all(uploads);
  const stored = answers.filter(({ status }) => status < 300);
  expect(stored).toHaveLength(3);
  for (const { status, error } of answers.filter((answer) => answer.status >= 300)) {
    expect([status, error?.code, error?.refusal]).toEqual([
      413,
      'storage_exceeded',
      { policy: 'storage.max_documents', limit: 3, current: 3 },
    ]);
  }
  expect(await storageOf(admin)).toMatchObject({ documents: 3, bytes: 60, max_documents: 3 });
  const { rows } = await planted.superuser.query(
    `SELECT documents::int, bytes::int FROM bulkhead.storage_used WHERE tenant_id = 'full'`,
  );
  expect(rows).toEqual([{ documents: 3, bytes: 60 }]);
});

test('a limit is the operator’s to set, and a refusal is in the ledger and the audit', async () => {
  const denied = await setStorage({ max_documents: 1_000_000 }, admin);
  expect([denied.status, denied.body.code]).toEqual([403, 'missing_scope']);
  const bad = await setStorage({ max_bytes: -1 });
  expect(bad.status).toBe(400);
  await setStorage({ max_documents: 0 });
  expect((await upload(alice, '/v1/files', 'zero.txt', 5)).status).toBe(413);
  const { body: usage } = await planted.call('GET', '/admin/tenants/full/usage?limit=1', admin);
  expect(usage.data[0]).toMatchObject({
    status: 413,
    outcome: 'refused',
    refusal_reason: 'storage_exceeded',
  });
  await expect
    .poll(async () => {
      const { body } = await planted.call('GET', '/admin/audit?tenant_id=full&limit=5', admin);
      return JSON.stringify(body);
    })
    .toContain('storage_exceeded');
});

test('what the whole tenant stores is for who administers it', async () => {
  expect(await storageOf(alice)).toBeNull();
  const { body } = await planted.call('POST', '/admin/tenants/full/keys', planted.fixture.operator, {
    user_id: 'ada',
    role: 'admin',
    collections: ['legal'],
  });
  expect(await storageOf({ authorization: `Bearer ${body.api_key}` })).toBeNull();
});
