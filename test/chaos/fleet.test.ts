import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { expectFleetLedger } from '#test/support/fleet/expect-fleet-ledger.ts';
import { createFleetTenants } from '#test/support/fleet/fleet-tenants.ts';
import { startFleet } from '#test/support/fleet/start-fleet.ts';
import { describeRequests, startLoad, summaryOf } from '#test/support/fleet/start-load.ts';

const REDIS_URL = process.env.REDIS_URL ?? '';
const canRun = POSTGRES_URL !== '' && REDIS_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL or no Redis; npm run test:integration starts both.');

it.skipIf(!canRun)('a fleet without faults answers everything, and its ledger is exact', async () => {
  const database = await createPostgresDatabase();
  const fleet = await startFleet({ databaseUrl: database.url, redisUrl: REDIS_URL });
  try {
    const keys = await createFleetTenants(fleet);
    const began = performance.now();
    const load = startLoad({
      url: fleet.url,
      keys,
      seed: 1,
      perSecond: 20,
      kinds: { chat: 6, graph: 2, rag: 2, embeddings: 2, search: 1, usage: 1 },
      connections: 'keep-alive',
    });
    await delay(5_000);
    const requests = await load.stop();
    console.log(JSON.stringify(summaryOf(requests)));
    const others = requests.filter(({ verdict }) => verdict !== 'complete');
    expect(describeRequests(others, began)).toEqual([]);
    await expectFleetLedger(fleet, requests);
    expect(await fleet.unexpectedExits()).toEqual([]);
  } finally {
    await fleet.dispose();
    await database.drop();
  }
});
