import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '#app/database/database.ts';
import { newRequestId, type ResponseId, responseIdOf, sortableId } from '#app/ids.ts';
import { type TenantConfigPatch, tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { silentLogger } from '#observability/logger.ts';
import { createMemberStore } from '#router/members/member-store.ts';
import { createResponseExpiry, forgetResponsesOf } from '#router/responses/kept/expire-responses.ts';
import { createResponseHistory } from '#router/responses/kept/history.ts';
import type { NewKeptResponse } from '#router/responses/kept/kept-response.ts';
import { keptSince } from '#router/responses/kept/kept-since.ts';
import { createResponseBounds, fairShare } from '#router/responses/kept/response-bounds.ts';
import { createResponseKeeper } from '#router/responses/kept/response-keeper.ts';
import { createResponseStore, type ResponseStore } from '#router/responses/kept/response-store.ts';
import { createTenantStore, type TenantStore } from '#router/tenants/tenant-store.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';
import { testContext } from '#test/support/test-context.ts';

const DAY_MS = 86_400_000;
const alice = testContext('acme', 'alice');
const bob = testContext('acme', 'bob');
const carol = testContext('globex', 'carol');
const signal = new AbortController().signal;
const config = tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'acme' });

let open: Awaited<ReturnType<typeof createTestDatabase>>;
let database: Database;
let tenants: TenantStore;
let store: ResponseStore;
beforeAll(async () => {
  open = await createTestDatabase();
  database = open.database;
  tenants = createTenantStore({ database });
  for (const tenant_id of ['acme', 'globex']) {
    await tenants.create(tenantConfigSchema.parse({ tenant_id, display_name: tenant_id }), 'test');
  }
  store = createResponseStore({ database });
});
afterAll(() => open.close());
beforeEach(async () => {
  for (const context of [alice, bob, carol])
    await forgetResponsesOf(database, context.tenantId, context.userId);
});

const setConfig = (patch: TenantConfigPatch) =>
  tenants.patch({ tenantId: alice.tenantId, patch, author: 'test', expectedVersion: null });

function responseOf(fields: Partial<NewKeptResponse> & { text?: string; at?: number } = {}): NewKeptResponse {
  const { text = 'x', at, ...others } = fields;
  const responseId =
    at === undefined ? responseIdOf(newRequestId()) : (`resp_${sortableId(at)}` as ResponseId);
  const content = [{ type: 'output_text' as const, text, annotations: [], logprobs: [] }];
  return {
    responseId,
    previousResponseId: null,
    depth: 1,
    model: 'm',
    input: [{ type: 'message', id: 'i', role: 'user', content: text }],
    output: [{ type: 'message', id: 'o', status: 'completed', role: 'assistant', content }],
    fields: {},
    outputBytes: text.length,
    contextBytes: 2 * text.length,
    ...others,
  };
}
const keep = (context = alice, fields: Parameters<typeof responseOf>[0] = {}) => {
  const response = responseOf(fields);
  return store.insert(context, response, signal).then((bytes) => ({ id: response.responseId, bytes }));
};
const idsOf = async (context = alice) =>
  (
    await database.asTenant(context, (transaction) =>
      transaction.query(
        'SELECT response_id FROM bulkhead.responses WHERE user_id = $1 ORDER BY response_id',
        [context.userId],
      ),
    )
  ).map(({ response_id }) => response_id);

describe('responses that are over', () => {
  const expiry = () =>
    createResponseExpiry({
      database,
      tenants,
      bounds: createResponseBounds({ database, logger: silentLogger }),
      logger: silentLogger,
      now: Date.now,
    });

  test('are not shown from the moment on, and deleted in a while', async () => {
    const old = await keep(alice, { at: Date.now() - 30 * DAY_MS - 1 });
    const young = await keep(alice, { at: Date.now() - 30 * DAY_MS + 60_000 });
    const others = await keep(carol, { at: Date.now() - 29 * DAY_MS });
    const since = keptSince(config, Date.now());
    await expect(store.get(alice, old.id, since)).rejects.toMatchObject({ code: 'not_found' });
    await expect(store.delete(alice, old.id, since)).rejects.toMatchObject({ code: 'not_found' });
    await expect(store.get(alice, young.id, since)).resolves.toMatchObject({ fields: {} });
    expect(await expiry().run()).toBe(1);
    expect(await idsOf()).toEqual([young.id]);
    await setConfig({ retention_days: 7 });
    expect(await expiry().run()).toBe(1);
    expect(await idsOf()).toEqual([]);
    await setConfig({ retention_days: null });
    expect(await idsOf(carol)).toEqual([others.id]);
  });

  test('are all of a tenant that keeps none any more', async () => {
    await keep();
    const others = await keep(carol);
    await setConfig({ responses: { store: false } });
    await expiry().run();
    expect(await idsOf()).toEqual([]);
    expect(await idsOf(carol)).toEqual([others.id]);
    await setConfig({ responses: { store: true } });
  });

  test('are those of a user who was removed, also where one came later', async () => {
    await keep(bob);
    const own = await keep();
    await createMemberStore({ database }).remove({
      tenantId: bob.tenantId,
      userId: bob.userId,
      author: 'test',
    });
    await expiry().run();
    expect([await idsOf(bob), await idsOf()]).toEqual([[], [own.id]]);
  });
});

describe('what a tenant keeps is bounded', () => {
  test.each([
    [[10, 20, 30], 60, Number.POSITIVE_INFINITY],
    [[10, 20, 31], 60, 30],
    [[100], 60, 60],
    [[5, 100, 100], 65, 30],
    [[], 0, Number.POSITIVE_INFINITY],
    [[1], 0, 0],
  ])('%j of %i: each may keep %d', (kept, whole, share) => expect(fairShare(kept, whole)).toBe(share));

  test('the oldest of those who keep most go, and nobody else’s', async () => {
    const bounds = createResponseBounds({ database, logger: silentLogger });
    const few = await keep(bob, { at: 1 });
    const many: { id: string; bytes: number }[] = [];
    for (let at = 2; at < 12; at++) many.push(await keep(alice, { at, text: 'y'.repeat(1_000) }));
    const other = await keep(carol);
    const bytes = many[0]?.bytes ?? 0;
    expect(await bounds.enforce(alice.tenantId, few.bytes + 3 * bytes)).toBe(7);
    expect(await idsOf()).toEqual(many.slice(7).map(({ id }) => id));
    expect([await idsOf(bob), await idsOf(carol)]).toEqual([[few.id], [other.id]]);
    expect(await bounds.enforce(alice.tenantId, few.bytes + 3 * bytes)).toBe(0);
  });

  test('it is looked at when more came', async () => {
    const bounds = createResponseBounds({ database, logger: silentLogger });
    const keeper = createResponseKeeper({ store, bounds, logger: silentLogger });
    const bounded = {
      ...config,
      storage: { ...config.storage, max_response_bytes: 20_000 },
    };
    for (let turn = 0; turn < 20; turn++) {
      expect(await keeper(alice, bounded, () => responseOf({ text: 'z'.repeat(2_000) }))).toBe(true);
    }
    await bounds.close();
    const [row] = await database.asTenant(alice, (transaction) =>
      transaction.query('SELECT sum(byte_size)::int AS bytes FROM bulkhead.responses'),
    );
    // One that came while it was looked at last is looked at with the next.
    expect(Number(row?.bytes)).toBeLessThan(20_000 + 10_000);
  });
});

describe('a conversation is bounded', () => {
  const chainOf = async (length: number, text: string) => {
    let previousResponseId: ResponseId | null = null;
    for (let depth = 1; depth <= length; depth++) {
      const kept: { id: ResponseId } = await keep(alice, {
        depth,
        previousResponseId,
        text,
        contextBytes: depth * 2 * text.length,
      });
      previousResponseId = kept.id;
    }
    return previousResponseId;
  };
  const historyOf = (maxBytes: number) => createResponseHistory({ store, maxBytes, now: Date.now });
  const expand = (previous_response_id: string | null, maxBytes = 100_000) =>
    historyOf(maxBytes).expand(alice, config, { input: 'x', previous_response_id });

  test('in bytes', async () => {
    const last = await chainOf(5, 'y'.repeat(100));
    const { items, depth, bytes } = await expand(last);
    expect([items.length, depth, bytes]).toEqual([11, 5, 1_000]);
    await expect(expand(last, 999)).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'previous_response_id',
    });
    expect(await historyOf(1).bytesOf(alice, config, { previous_response_id: last })).toBe(1_000);
    expect(await historyOf(1).bytesOf(bob, config, { previous_response_id: last })).toBe(0);
  });

  test('in responses', async () => {
    const far = await keep(alice, { depth: 1_000 });
    await expect(expand(far.id)).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'previous_response_id',
    });
    const input = Array.from({ length: 1_001 }, () => ({
      type: 'item_reference',
      id: `msg_${sortableId()}_0`,
    }));
    await expect(historyOf(1_000).expand(alice, config, { input })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'input.0',
    });
  });

  test('in the bytes of what its items are in', async () => {
    const large = await keep(alice, { text: 'y'.repeat(5_000) });
    const input = [{ type: 'item_reference', id: `msg_${large.id.replace('resp_', '')}_in0` }];
    const first = await keep(alice, { input });
    await expect(expand(first.id, 9_000)).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'previous_response_id',
    });
    // Its only item has another id.
    await expect(expand(first.id)).rejects.toMatchObject({ code: 'previous_response_not_found' });
  });

  test('and ends where one before is gone', async () => {
    const first = await keep();
    const second = await keep(alice, { previousResponseId: first.id, depth: 2 });
    expect((await expand(second.id)).items).toHaveLength(5);
    await store.delete(alice, first.id, '');
    await expect(expand(second.id)).rejects.toMatchObject({ code: 'previous_response_not_found' });
  });
});

describe('an answer is given', () => {
  const keeperOver = (inner: Pick<ResponseStore, 'insert'>, keepMs = 50) =>
    createResponseKeeper({
      store: inner,
      bounds: createResponseBounds({ database, logger: silentLogger }),
      logger: silentLogger,
      keepMs,
    });

  test('where it cannot be kept', async () => {
    const gone = testContext('nobody', 'alice');
    expect(await keeperOver(store, 10_000)(gone, config, () => responseOf())).toBe(false);
    const failing = () => {
      throw new Error('It cannot be made.');
    };
    expect(await keeperOver(store)(alice, config, failing)).toBe(false);
  });

  test.each([false, true])('by the router, which says that it is not kept, streamed: %s', async (stream) => {
    const failing: Database = {
      ...database,
      asUser: (context, work) =>
        database.asUser(context, (transaction) =>
          work({
            query: (text, parameters) =>
              text.includes('INSERT INTO bulkhead.responses')
                ? Promise.reject(new Error('The disk is full.'))
                : transaction.query(text, parameters),
          }),
        ),
    };
    const fixture = await createRouterFixture({ database: failing });
    const send = (url: string, headers: Record<string, string>, payload: object) =>
      fixture.app.inject({ method: 'POST', url, headers, payload });
    try {
      const made = await send('/admin/tenants/acme/keys', fixture.operator, { user_id: 'alice' });
      const headers = { authorization: `Bearer ${made.json().api_key}` };
      const { body, statusCode } = await send('/v1/responses', headers, {
        model: 'bulkhead-chat',
        input: 'x',
        stream,
      });
      expect(statusCode).toBe(200);
      const response = stream
        ? JSON.parse(body.slice(body.lastIndexOf('\ndata: ') + 7)).response
        : JSON.parse(body);
      expect(response).toMatchObject({ status: 'completed', store: false, output: [{ type: 'message' }] });
    } finally {
      await fixture.close();
    }
  });

  test('where keeping it hangs, and then nothing is kept', async () => {
    const slow: Database = {
      ...database,
      asUser: (context, work) =>
        database.asUser(context, async (transaction) => {
          const result = await work({
            async query(text, parameters) {
              const rows = await transaction.query(text, parameters);
              await delay(200);
              return rows as never;
            },
          });
          return result;
        }),
    };
    expect(await keeperOver(createResponseStore({ database: slow }))(alice, config, () => responseOf())).toBe(
      false,
    );
    await delay(400);
    expect(await idsOf()).toEqual([]);
  });
});

test('a member who is removed leaves no response behind; who may bound them is the operator', async () => {
  const fixture = await createRouterFixture();
  const { app, keyOf, operator } = fixture;
  try {
    const headers = await keyOf('acme', 'bob');
    const payload = { model: 'bulkhead-chat', input: 'x' };
    await app.inject({ method: 'POST', url: '/v1/responses', headers, payload });
    const count = () =>
      fixture.database.asTenant(bob, (transaction) => transaction.query('SELECT 1 FROM bulkhead.responses'));
    expect(await count()).toHaveLength(1);
    await app.inject({ method: 'DELETE', url: '/admin/tenants/acme/members/bob', headers: operator });
    expect(await count()).toHaveLength(0);
    const admin = await keyOf('acme', 'root', 'admin');
    const patch = (body: object) =>
      app.inject({ method: 'PATCH', url: '/admin/tenants/acme', headers: admin, payload: body });
    expect((await patch({ storage: { max_response_bytes: 1 } })).json()).toMatchObject({
      code: 'missing_scope',
    });
    expect((await patch({ responses: { retention_days: 3 } })).json()).toMatchObject({
      config: { responses: { store: true, retention_days: 3 } },
    });
  } finally {
    await fixture.close();
  }
});
