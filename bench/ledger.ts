/**
 * The usage ledger: what it adds to a request, how many turns a second it takes, how fast rows reach the database, and how
 * long the rows of a killed router take to be there. `npm run bench -- ledger [--smoke]`.
 *
 * Each turn is two lines of the write-ahead file, its beginning and its row, as a router writes them. With
 * USAGE_LOG_SYNC=background (the default) a line is in the system's hands before its request goes on, and on disk at
 * most 200 ms later; with `each` it is on disk first. Rows are shipped meanwhile, as in a router.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Database } from '#app/database/database.ts';
import { newRequestId } from '#app/ids.ts';
import { silentLogger } from '#observability/logger.ts';
import { storableUsage } from '#router/ledger/insert-usage.ts';
import { createUsageLedger, type UsageLedger } from '#router/ledger/usage-ledger.ts';
import { shipRows } from '#router/ledger/usage-shipper.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';
import { begunTurn, usageRow } from '#test/support/usage-row.ts';
import { describeMachine, printClaim, round, summarise } from './support/claims.ts';
import { openBenchDatabases } from './support/open-bench-databases.ts';
import { unreachableDatabase } from './support/unreachable-database.ts';

const WRITER = fileURLToPath(new URL('./support/ledger-writer.ts', import.meta.url));
const AT_ONCE = 64;
const context = testContext('bench', 'alice');

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { smoke: { type: 'boolean', default: false } } });
  const { smoke } = values;
  const common = { smoke, machine: describeMachine() };
  const opened = await openBenchDatabases();
  try {
    for (const { name, database } of opened.databases) await insertTenant(name, database);
    const away = { name: 'none (away)', database: unreachableDatabase() };
    for (const { name, database } of [away, ...opened.databases]) {
      for (const sync of ['background', 'each'] as const) {
        console.error(`turns, database: ${name}, sync: ${sync}`);
        const figures = await withLedger(database, sync === 'each', async (ledger) => ({
          ...(await addedTo(ledger, smoke ? 50 : 2_000)),
          ...(await turnsASecond(ledger, smoke ? 300 : 3_000)),
        }));
        printClaim({ claim: 'turns in the usage ledger', database: name, sync, ...figures, ...common });
      }
    }
    for (const { name, database } of opened.databases) {
      console.error(`bulk and replay, database: ${name}`);
      printClaim({
        claim: 'usage rows brought to the database',
        database: name,
        ...(await bulk(database, smoke ? 1_000 : 50_000)),
        ...common,
      });
      printClaim({
        claim: 'usage rows of a killed router',
        database: name,
        ...(await replay(database, smoke ? 1_000 : 100_000)),
        ...common,
      });
    }
  } finally {
    await opened.close();
  }
}

async function insertTenant(name: string, database: Database): Promise<void> {
  console.error(`database: ${name}`);
  await insertTestTenant(database, context.tenantId);
}

async function withLedger<Result>(
  database: Database,
  syncEach: boolean,
  work: (ledger: UsageLedger) => Promise<Result>,
): Promise<Result> {
  const root = await mkdtemp(join(tmpdir(), 'bulkhead-ledger-'));
  try {
    const ledger = await openLedger(database, root, syncEach);
    try {
      return await work(ledger);
    } finally {
      await ledger.close(60_000);
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const openLedger = (database: Database, root: string, syncEach = false) =>
  createUsageLedger({ database, logger: silentLogger, root, maxBytes: 4 * 2 ** 30, syncEach });

/** One turn at a time with a moment between, so that waiting is the ledger's own: its beginning, then its row. */
async function addedTo(ledger: UsageLedger, turns: number) {
  const begins: number[] = [];
  const ends: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const request_id = newRequestId();
    const begin = begunTurn(context, { request_id });
    const row = usageRow(context, { request_id });
    const start = performance.now();
    await ledger.begin(begin);
    const middle = performance.now();
    await ledger.record(row);
    begins.push(middle - start);
    ends.push(performance.now() - middle);
    await pause(1);
  }
  return { beginning_waits: summarise(begins), row_waits: summarise(ends) };
}

async function turnsASecond(ledger: UsageLedger, durationMs: number) {
  const start = performance.now();
  let turns = 0;
  const loop = async () => {
    while (performance.now() - start < durationMs) {
      const request_id = newRequestId();
      await ledger.begin(begunTurn(context, { request_id }));
      await ledger.record(usageRow(context, { request_id }));
      turns += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
  return { turns_at_once: AT_ONCE, turns_per_second: perSecond(turns, start) };
}

async function bulk(database: Database, rows: number) {
  const given = Array.from({ length: rows }, () => storableUsage(usageRow(context)));
  const start = performance.now();
  await shipRows(database, asyncOf(given), silentLogger);
  return { rows, rows_per_second: perSecond(rows, start) };
}

/** From the start of the next router's ledger until every row of the killed one is in the database. */
async function replay(database: Database, rows: number) {
  const root = await mkdtemp(join(tmpdir(), 'bulkhead-ledger-'));
  const writer = spawn(process.execPath, [WRITER, root, String(rows)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(createInterface(writer.stdout), 'line');
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    const before = await countRows(database);
    const start = performance.now();
    const ledger = await openLedger(database, root);
    try {
      // The turn that the kill cut has its row as well.
      const expected = before + rows + 1;
      while ((await countRows(database)) < expected) await pause(100);
      const seconds = round((performance.now() - start) / 1_000);
      return { rows: rows + 1, seconds, rows_per_second: perSecond(rows, start) };
    } finally {
      await ledger.close(60_000);
    }
  } finally {
    writer.kill('SIGKILL');
    await rm(root, { recursive: true, force: true });
  }
}

async function countRows(database: Database): Promise<number> {
  const [row] = await database.asSystem((transaction) =>
    transaction.query('SELECT sum(requests)::int AS requests FROM bulkhead.usage_hours'),
  );
  return Number(row?.requests ?? 0);
}

async function* asyncOf<Item>(items: readonly Item[]): AsyncGenerator<Item, void> {
  yield* items;
}

const perSecond = (count: number, since: number) => Math.round(count / ((performance.now() - since) / 1_000));

if (import.meta.main) await run(process.argv.slice(2));
