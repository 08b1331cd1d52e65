import { expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { expectFleetLedger } from '#test/support/fleet/expect-fleet-ledger.ts';
import { failuresInLog } from '#test/support/fleet/failures-in-log.ts';
import { createFleetTenants } from '#test/support/fleet/fleet-tenants.ts';
import { startFleet } from '#test/support/fleet/start-fleet.ts';
import { describeRequests, startLoad, summaryOf } from '#test/support/fleet/start-load.ts';

const REDIS_URL = process.env.REDIS_URL ?? '';
const canRun = POSTGRES_URL !== '' && REDIS_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL or no Redis; npm run test:integration starts both.');

/** Restarts of each service; ROLLING_RESTARTS=20 takes four minutes more. */
const ROUNDS = Number(process.env.ROLLING_RESTARTS ?? 3);
const PER_SECOND = 10;

it.skipIf(!canRun).each(['tcp', 'http keep-alive'] as const)(
  `${ROUNDS} restarts of each service under load, behind a front (%s) that polls readiness: no request fails`,
  async (front) => {
    const database = await createPostgresDatabase();
    const fleet = await startFleet({ databaseUrl: database.url, redisUrl: REDIS_URL, front });
    try {
      const keys = await createFleetTenants(fleet);
      const began = performance.now();
      const loads = (['keep-alive', 'fresh'] as const).map((connections, seed) =>
        startLoad({
          url: fleet.url,
          keys,
          seed,
          perSecond: PER_SECOND,
          kinds: { chat: 6, graph: 2, rag: 2, embeddings: 2, search: 1, usage: 1 },
          connections,
        }),
      );
      const { routers, orchestrators, rags } = fleet;
      for (let round = 0; round < ROUNDS; round++) {
        await Promise.all([routers.roll(), orchestrators.roll(), rags.handOver()]);
      }
      const requests = (await Promise.all(loads.map((load) => load.stop()))).flat();
      const seconds = Math.round((performance.now() - began) / 1_000);
      console.log(JSON.stringify({ front, rounds: ROUNDS, seconds, ...summaryOf(requests) }));
      const others = requests.filter(({ verdict }) => verdict !== 'complete');
      expect([...describeRequests(others, began), ...(await failuresInLog(fleet, others))]).toEqual([]);
      await expectFleetLedger(fleet, requests);
      expect(await fleet.unexpectedExits()).toEqual([]);
    } finally {
      await fleet.dispose();
      await database.drop();
    }
  },
  120_000 + ROUNDS * 30_000,
);
