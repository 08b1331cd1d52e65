import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import { type ResponseId, sortableId } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { silentLogger } from '#observability/logger.ts';
import { createResponseExpiry } from '#router/responses/kept/expire-responses.ts';
import { createResponseHistory } from '#router/responses/kept/history.ts';
import { createResponseBounds } from '#router/responses/kept/response-bounds.ts';
import { createResponseStore } from '#router/responses/kept/response-store.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { testContext } from '#test/support/test-context.ts';

const DAY_MS = 86_400_000;
const config = tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'acme' });

/** The unit tests run this on PGlite; here it is PostgreSQL itself, with a pool of connections. */
describe.skipIf(POSTGRES_URL === '')('kept responses on native PostgreSQL', () => {
  const alice = testContext('acme', 'alice');
  const bob = testContext('acme', 'bob');
  let open: OpenDatabase;
  let drop: () => Promise<void>;
  beforeAll(async () => {
    const created = await createPostgresDatabase();
    drop = created.drop;
    open = await openPostgresDatabase({
      connectionString: created.url,
      poolSize: 4,
      statementTimeoutMs: 10_000,
    });
    await createTenantStore({ database: open.database }).create(config, 'test');
  });
  afterAll(async () => {
    await open?.database.close();
    await drop?.();
  });

  async function keep(context: typeof alice, at: number, previous: ResponseId | null, depth: number) {
    const responseId = `resp_${sortableId(at)}` as ResponseId;
    const suffix = responseId.replace('resp_', '');
    const content = [
      { type: 'output_text' as const, text: `Answer ${depth}`, annotations: [], logprobs: [] },
    ];
    const bytes = await createResponseStore(open).insert(
      context,
      {
        responseId,
        previousResponseId: previous,
        depth,
        model: 'm\0',
        input: [
          { type: 'message', id: `msg_${suffix}_in0`, role: 'user', content: `Question ${depth} \0 \ud800` },
        ],
        output: [{ type: 'message', id: `msg_${suffix}_0`, status: 'completed', role: 'assistant', content }],
        fields: { b: 1, a: { z: 1, y: 2 } },
        outputBytes: 10,
        contextBytes: 20 * depth,
      },
      new AbortController().signal,
    );
    return { responseId, suffix, bytes };
  }

  it('go on, expire, and are bounded', async () => {
    const store = createResponseStore(open);
    const first = await keep(alice, Date.now() - 2 * DAY_MS, null, 1);
    const second = await keep(alice, Date.now() - 1_000, first.responseId, 2);
    const other = await keep(bob, Date.now() - 2 * DAY_MS, null, 1);
    const history = createResponseHistory({ store, maxBytes: 1_000, now: Date.now });
    const input = [
      { type: 'item_reference', id: `msg_${first.suffix}_0` },
      { type: 'item_reference', id: `msg_${second.suffix}_in0` },
    ];
    const asked = { input, previous_response_id: second.responseId };
    const { items, depth } = await history.expand(alice, { ...config }, asked);
    expect(depth).toBe(2);
    expect(items.map(({ item }) => item.content)).toMatchObject([
      'Question 1 \uFFFD \uFFFD',
      [{ text: 'Answer 1' }],
      'Question 2 \uFFFD \uFFFD',
      [{ text: 'Answer 2' }],
      [{ text: 'Answer 1' }],
      'Question 2 \uFFFD \uFFFD',
    ]);
    expect(JSON.stringify((await store.get(alice, second.responseId, '')).fields)).toBe(
      '{"b":1,"a":{"z":1,"y":2}}',
    );
    await expect(history.expand(bob, config, asked)).rejects.toMatchObject({
      code: 'previous_response_not_found',
    });

    const bounds = createResponseBounds({ database: open.database, logger: silentLogger });
    expect(await bounds.enforce(alice.tenantId, second.bytes + other.bytes)).toBe(1);
    await expect(store.get(alice, first.responseId, '')).rejects.toMatchObject({ code: 'not_found' });
    const tenants = createTenantStore({ database: open.database });
    await tenants.patch({
      tenantId: alice.tenantId,
      patch: { responses: { retention_days: 1 } },
      author: 'test',
      expectedVersion: null,
    });
    const expiry = createResponseExpiry({
      database: open.database,
      tenants,
      bounds,
      logger: silentLogger,
      now: Date.now,
    });
    expect(await expiry.run()).toBe(1);
    await expect(store.get(bob, other.responseId, '')).rejects.toMatchObject({ code: 'not_found' });
    await store.delete(alice, second.responseId, '');
  });
});
