import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { expectFleetLedger } from '#test/support/fleet/expect-fleet-ledger.ts';
import { failuresInLog } from '#test/support/fleet/failures-in-log.ts';
import { createFleetTenants } from '#test/support/fleet/fleet-tenants.ts';
import type { LoadKind, LoadRequest } from '#test/support/fleet/load-request.ts';
import { type Fleet, startFleet } from '#test/support/fleet/start-fleet.ts';
import { describeRequests, startLoad, summaryOf } from '#test/support/fleet/start-load.ts';
import { startRedis } from '#test/support/start-redis.ts';
import type { StartedServer } from '#test/support/started-server.ts';

const canRun = POSTGRES_URL !== '' && (process.env.REDIS_URL ?? '') !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL or no Redis; npm run test:integration starts both.');

/** What each part is needed for. Redis has a stand-in, and is needed for nothing. */
const TURNS: readonly LoadKind[] = ['chat', 'graph', 'rag'];
const RETRIEVAL: readonly LoadKind[] = ['rag', 'embeddings', 'search'];

describe.skipIf(!canRun)('a fleet under load, while a part of it fails', () => {
  let fleet: Fleet;
  let redis: StartedServer;
  let database: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let keys: ReadonlyMap<string, string>;
  const all: LoadRequest[] = [];
  let seed = 0;

  beforeAll(async () => {
    database = await createPostgresDatabase();
    // One of its own: no other test may meet it frozen.
    redis = await startRedis();
    const redisUrl = redis.env.REDIS_URL ?? '';
    fleet = await startFleet({ databaseUrl: database.url, redisUrl });
    keys = await createFleetTenants(fleet);
  });
  afterAll(async () => {
    await fleet?.dispose();
    await redis?.stop();
    await database?.drop();
  });

  async function withLoad(work: () => Promise<void>): Promise<readonly LoadRequest[]> {
    const load = startLoad({
      url: fleet.url,
      keys,
      seed: seed++,
      perSecond: 12,
      kinds: { chat: 6, graph: 2, rag: 2, embeddings: 2, search: 1, usage: 1 },
      connections: 'keep-alive',
    });
    try {
      await delay(500);
      await work();
      await delay(500);
    } finally {
      all.push(...(await load.stop()));
    }
    return load.requests;
  }

  async function explain(requests: readonly LoadRequest[]) {
    const [first] = all.slice(-1);
    return [...describeRequests(requests, first?.startedAt), ...(await failuresInLog(fleet, requests))];
  }

  /** Those that need the part may be refused, or end in an event that says why; the others know nothing of the fault. */
  async function expectOnlyTheirs(requests: readonly LoadRequest[], needing: readonly LoadKind[]) {
    console.log(JSON.stringify(summaryOf(requests)));
    const untouched = requests.filter(({ kind }) => !needing.includes(kind));
    expect(await explain(untouched.filter(({ verdict }) => verdict !== 'complete'))).toEqual([]);
    const untruthful = requests.filter(
      ({ verdict, status, stream }) =>
        verdict !== 'complete' &&
        !(verdict === 'refused' && status !== null && status >= 502 && status <= 504) &&
        !(verdict === 'error event' && stream),
    );
    expect(await explain(untruthful)).toEqual([]);
    expect(await fleet.unexpectedExits()).toEqual([]);
  }

  it('the engine is down for eight seconds', async () => {
    const requests = await withLoad(async () => {
      await fleet.engine.crash();
      await delay(8_000);
      await fleet.engine.start();
    });
    await expectOnlyTheirs(requests, TURNS);
  });

  it('an orchestrator is killed', async () => {
    const requests = await withLoad(async () => {
      const [member] = fleet.orchestrators.members;
      if (member !== undefined) await fleet.orchestrators.kill(member);
      await delay(3_000);
    });
    await expectOnlyTheirs(requests, TURNS);
    await fleet.orchestrators.add();
  });

  it('the RAG service is killed, and comes back', async () => {
    const requests = await withLoad(async () => {
      const [member] = fleet.rags.members;
      if (member !== undefined) await fleet.rags.kill(member);
      await fleet.rags.add();
    });
    await expectOnlyTheirs(requests, RETRIEVAL);
  });

  it('every connection to the database is ended by the server', async () => {
    const requests = await withLoad(async () => {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      await client.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      );
      await client.end();
      await delay(3_000);
    });
    await expectOnlyTheirs(requests, ['usage', ...RETRIEVAL]);
  });

  it('Redis is frozen, and killed', async () => {
    const requests = await withLoad(async () => {
      if (redis.pid === undefined) throw new Error('Redis has no process.');
      process.kill(redis.pid, 'SIGSTOP');
      await delay(2_000);
      process.kill(redis.pid, 'SIGCONT');
      await delay(1_000);
      process.kill(redis.pid, 'SIGKILL');
      await delay(2_000);
    });
    await expectOnlyTheirs(requests, []);
  });

  it('everything goes on afterwards, and no complete answer lacks its row', async () => {
    const requests = await withLoad(() => delay(2_000));
    await expectOnlyTheirs(requests, []);
    expect(await explain(requests.filter(({ verdict }) => verdict !== 'complete'))).toEqual([]);
    await expectFleetLedger(fleet, all);
  });
});
