import { expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { expectExactLedger } from '#test/support/expect-exact-ledger.ts';
import { runLedgerChaos } from '#test/support/ledger-chaos.ts';

const canRun = POSTGRES_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL; npm run test:integration starts one.');

it.skipIf(!canRun)(
  '20,000 mixed requests and five kill -9: nothing lost, nothing twice',
  async () => {
    const database = await createPostgresDatabase();
    try {
      const result = await runLedgerChaos({
        requests: 20_000,
        kills: ['calm', 'rough', 'calm', 'rough', 'calm'],
        connections: 32,
        env: { DATABASE_URL: database.url, LOG_LEVEL: 'warn' },
        log: (line) => console.log(line),
      });
      const figures = expectExactLedger(result);
      console.log(
        JSON.stringify({
          claim: 'usage ledger over kill -9',
          ...figures,
          seconds: Math.round(result.seconds),
        }),
      );
      expect(figures.requests).toBeGreaterThanOrEqual(20_000);
    } finally {
      await database.drop();
    }
  },
  400_000,
);
