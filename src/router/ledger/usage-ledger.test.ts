import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '#app/database/database.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { createLogger, silentLogger } from '#observability/logger.ts';
import { createUsageLedger, type UsageLedger } from '#router/ledger/usage-ledger.ts';
import { createUsageStore } from '#router/ledger/usage-store.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';
import { begunTurn, usageRow } from '#test/support/usage-row.ts';

let open: Awaited<ReturnType<typeof createTestDatabase>>;
let root: string;
let users = 0;
/** A user without rows yet. */
let user: TenantContext;
const ledgers: UsageLedger[] = [];

beforeAll(async () => {
  open = await createTestDatabase();
  await insertTestTenant(open.database, 'acme');
});
afterAll(() => open.close());
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bulkhead-ledger-'));
  user = testContext('acme', `user-${++users}`);
});
afterEach(async () => {
  for (const ledger of ledgers.splice(0)) await ledger.close(10_000);
  await rm(root, { recursive: true, force: true });
});

async function openLedger(options: Partial<Parameters<typeof createUsageLedger>[0]> = {}) {
  const ledger = await createUsageLedger({
    database: open.database,
    logger: silentLogger,
    root,
    maxBytes: 10_000_000,
    ...options,
  });
  ledgers.push(ledger);
  return ledger;
}

const ALL = { from: null, to: null, route: null, user: null };
const reportOf = (context: TenantContext) =>
  createUsageStore({ database: open.database }).ofUser(context, ALL, { limit: 100 });

/** A database that can be away. */
function fragile() {
  const state = { isAway: true };
  const database: Database = {
    ...open.database,
    asSystem: (work) => (state.isAway ? Promise.reject(new Error('away')) : open.database.asSystem(work)),
  };
  return { state, database };
}

test('a row is safe without the database, and in it when it is back', async () => {
  const { state, database } = fragile();
  const ledger = await openLedger({ database });
  await ledger.record(usageRow(user));
  await ledger.flush(10_000);
  expect((await reportOf(user)).totals.requests).toBe(0);
  expect(ledger.isAccepting()).toBe(true);
  state.isAway = false;
  while ((await reportOf(user)).totals.requests === 0) await delay(50);
  await ledger.close(10_000);
  // All that it wrote is shipped, so nothing of it is left.
  expect(await readdir(root)).toEqual([]);
});

test('what a closing process cannot ship, the next one does', async () => {
  const { database } = fragile();
  const first = await openLedger({ database });
  const rows = [usageRow(user), usageRow(user)];
  for (const row of rows) await first.record(row);
  await first.begin(begunTurn(user));
  await first.close(100);
  expect(await readdir(root)).toHaveLength(1);

  const second = await openLedger();
  while ((await reportOf(user)).totals.requests < 3) await delay(50);
  expect((await reportOf(user)).totals).toMatchObject({ aborted: 1, token_usage: { total_tokens: 30 } });
  await second.close(10_000);
  expect(await readdir(root)).toEqual([]);
});

test('a process that is killed loses nothing, and is not robbed while it lives', async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const turns = Array.from({ length: 50 }, () => begunTurn(user));
  const code = `
    const { createOwnLog } = await import(${url('./log/log-directories.ts')});
    const { openUsageLog } = await import(${url('./log/usage-log.ts')});
    const { storableUsage } = await import(${url('./insert-usage.ts')});
    const logger = { warn() {}, error() {}, info() {} };
    const { directory } = await createOwnLog(${JSON.stringify(root)});
    const log = openUsageLog({ directory, syncEach: false, now: Date.now, logger });
    const turns = ${JSON.stringify(turns)};
    for (const [index, turn] of turns.entries()) {
      await log.begin(turn);
      const { request_id, route, model } = turn;
      log.progress({ request_id, route, model, prompt_tokens: 7, completion_tokens: index, cost_usd_estimate: 0,
        price_version: null });
      if (index % 10 === 9) log.seal();
      if (index % 2 === 0) {
        const { at, ...ids } = turn;
        const token_usage = { prompt_tokens: 7, completion_tokens: 100, total_tokens: 107 };
        const row = { ...ids, token_usage, cost_usd_estimate: 0, price_version: null, retrieval: null, latency_ms: 1, status: 200, outcome: 'ok',
          refusal_reason: null, created_at: at };
        await log.end(storableUsage(row));
      }
    }
    setTimeout(() => console.log('written'), 50);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(createInterface(child.stdout), 'line');
  const early = await openLedger();
  await early.flush(10_000);
  await early.close(10_000);
  expect((await reportOf(user)).totals.requests).toBe(0);
  child.kill('SIGKILL');
  await once(child, 'exit');

  // Two at once: one of them adopts it.
  await Promise.all([openLedger(), openLedger()]);
  while ((await readdir(root)).length > 2) await delay(50);
  const { totals } = await reportOf(user);
  const odd = turns.map((_, index) => index).filter((index) => index % 2 === 1);
  expect(totals).toMatchObject({
    requests: 50,
    aborted: 25,
    token_usage: {
      prompt_tokens: 50 * 7,
      completion_tokens: 25 * 100 + odd.reduce((sum, index) => sum + index, 0),
    },
  });
});

test('a full log refuses turns and still takes the rows of those under way', async () => {
  const { state, database } = fragile();
  const ledger = await openLedger({ database, maxBytes: 5_000 });
  await ledger.begin(begunTurn(user));
  for (let count = 0; count < 20; count++) await ledger.record(usageRow(user));
  expect(ledger.isAccepting()).toBe(false);
  await expect(ledger.begin(begunTurn(user))).rejects.toMatchObject({
    code: 'service_unavailable',
    retryAfterMs: 5_000,
  });
  state.isAway = false;
  await ledger.flush(10_000);
  expect(ledger.isAccepting()).toBe(true);
  expect((await reportOf(user)).totals.requests).toBe(20);
});

test('one row that the database refuses, or of a tenant that is gone, keeps no other one out', async () => {
  const lines: string[] = [];
  const logger = createLogger({
    level: 'error',
    service: 'router',
    destination: { write: (line: string) => void lines.push(line) },
  });
  const ledger = await openLedger({ logger });
  const gone = testContext('gone', 'somebody');
  await Promise.all([
    ...Array.from({ length: 30 }, () => ledger.record(usageRow(user))),
    ledger.record(usageRow(gone)),
    ledger.record(usageRow(user, { request_id: 'req_refused', cost_usd_estimate: 1e300 })),
    ledger.record(usageRow(user, { model: 'a\0\ud800' })),
    ...Array.from({ length: 30 }, () => ledger.record(usageRow(user))),
  ]);
  await ledger.flush(10_000);
  const { totals } = await reportOf(user);
  expect(totals.requests).toBe(61);
  expect(lines.filter((line) => line.includes('usage_row_refused'))).toHaveLength(1);
  expect(lines.join('')).toContain('req_refused');
});
