/**
 * A router's ledger that never reaches its database, to be killed: `node bench/support/ledger-writer.ts DIRECTORY ROWS`.
 * It writes the rows of tenant `bench`, says so on stdout, and waits.
 */
import { silentLogger } from '#observability/logger.ts';
import { createUsageLedger } from '#router/ledger/usage-ledger.ts';
import { testContext } from '#test/support/test-context.ts';
import { begunTurn, usageRow } from '#test/support/usage-row.ts';
import { unreachableDatabase } from './unreachable-database.ts';

const [, , root = '', rows = '0'] = process.argv;
const context = testContext('bench', 'alice');
const ledger = await createUsageLedger({
  database: unreachableDatabase(),
  logger: silentLogger,
  root,
  maxBytes: 4 * 2 ** 30,
});
for (let row = 0; row < Number(rows); row += 1_000) {
  await Promise.all(Array.from({ length: 1_000 }, () => ledger.record(usageRow(context))));
}
// One turn that the kill cuts: it must be counted too.
await ledger.begin(begunTurn(context));
process.stdout.write('written\n');
setInterval(() => {}, 1_000);
