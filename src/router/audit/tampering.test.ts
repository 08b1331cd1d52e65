import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PgliteThread } from '#app/database/pglite-thread.ts';
import { tenantIdSchema } from '#app/ids.ts';
import type { AuditVerification } from '#app/schemas/audit-event.ts';
import { appendEvents } from '#router/audit/append-events.ts';
import { createAuditStore } from '#router/audit/audit-store.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';

let open: Awaited<ReturnType<typeof createTestDatabase>>;
let superuser: PgliteThread;

beforeAll(async () => {
  open = await createTestDatabase();
  if (open.jobs.kind !== 'pglite') throw new Error('The test database is not PGlite.');
  superuser = open.jobs.pglite;
  await open.database.asSystem((transaction) =>
    appendEvents(
      transaction,
      OPERATORS_CHAIN,
      Array.from({ length: 9 }, (_, i) => ({
        actor: 'operator:x',
        tenantId: tenantIdSchema.parse('acme'),
        action: 'tenant.changed' as const,
        target: 'acme',
        outcome: 'done' as const,
        details: { b: i, a: ['x', 'é "\u2028'], c: null },
      })),
    ),
  );
});
afterAll(() => open.close());

const verify = () =>
  createAuditStore(open).verify({ kind: 'operator', keyId: 'x' }, null, new AbortController().signal);

/** What a check says after this was done to the tables by one who may do everything; undone at once. */
async function afterTampering(sql: string): Promise<AuditVerification['broken']> {
  await superuser.exec(`
    CREATE TEMP TABLE kept_events AS TABLE bulkhead.audit_events;
    CREATE TEMP TABLE kept_chains AS TABLE bulkhead.audit_chains;
    SET session_replication_role = replica;`);
  try {
    await superuser.exec(sql);
    return (await verify()).broken;
  } finally {
    await superuser.exec(`
      DELETE FROM bulkhead.audit_events; DELETE FROM bulkhead.audit_chains;
      INSERT INTO bulkhead.audit_chains TABLE kept_chains;
      INSERT INTO bulkhead.audit_events TABLE kept_events;
      DROP TABLE kept_events, kept_chains;
      SET session_replication_role = origin;`);
  }
}

test('a chain that nobody touched holds', async () => {
  expect(await verify()).toMatchObject({ valid: true, events: 9, broken: null });
});

const ZEROS = '0'.repeat(64);
test.each([
  [`UPDATE bulkhead.audit_events SET actor = 'operator:y' WHERE seq = 4`, 4, 'content'],
  [`UPDATE bulkhead.audit_events SET at = at + interval '1 ms' WHERE seq = 1`, 1, 'content'],
  [`UPDATE bulkhead.audit_events SET details = details || '{"b": 77}' WHERE seq = 9`, 9, 'content'],
  [`UPDATE bulkhead.audit_events SET tenant_id = 'other' WHERE seq = 5`, 5, 'content'],
  [`UPDATE bulkhead.audit_events SET action = 'no such action' WHERE seq = 5`, 5, 'content'],
  [`UPDATE bulkhead.audit_events SET hash = '${ZEROS}' WHERE seq = 3`, 3, 'content'],
  [`UPDATE bulkhead.audit_events SET previous_hash = '${ZEROS}' WHERE seq = 3`, 3, 'link'],
  [`DELETE FROM bulkhead.audit_events WHERE seq = 6`, 6, 'missing'],
  [`DELETE FROM bulkhead.audit_events WHERE seq = 9`, 9, 'missing'],
  [`DELETE FROM bulkhead.audit_events`, 1, 'missing'],
  [`DELETE FROM bulkhead.audit_events WHERE seq = 9; UPDATE bulkhead.audit_chains SET seq = 8`, 8, 'head'],
  [
    `DELETE FROM bulkhead.audit_events WHERE seq = 2; UPDATE bulkhead.audit_events SET seq = seq + 98 WHERE seq > 2;
     UPDATE bulkhead.audit_events SET seq = seq - 99 WHERE seq > 99`,
    2,
    'link',
  ],
  [
    `UPDATE bulkhead.audit_events SET seq = 111 - seq WHERE seq IN (5, 6);
     UPDATE bulkhead.audit_events SET seq = seq - 100 WHERE seq > 99`,
    5,
    'link',
  ],
])('%s is noticed', async (sql, seq, reason) => {
  expect(await afterTampering(sql)).toEqual({ seq, reason });
  expect((await verify()).valid).toBe(true);
});

test('not even the owner changes events by a plain statement', async () => {
  for (const sql of [
    'DELETE FROM bulkhead.audit_events',
    `UPDATE bulkhead.audit_events SET actor = 'x'`,
    'TRUNCATE bulkhead.audit_events',
  ]) {
    await expect(superuser.exec(sql)).rejects.toThrow('never changed');
  }
});
