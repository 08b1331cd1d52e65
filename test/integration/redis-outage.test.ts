import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { at, call, eventually } from '#test/support/http-client.ts';
import { startRedis } from '#test/support/start-redis.ts';
import { startThreeServices, type ThreeServices } from '#test/support/start-three-services.ts';
import type { StartedServer } from '#test/support/started-server.ts';
import { createKey, createTenant } from '#test/support/tenants.ts';

const canRun = POSTGRES_URL !== '' && (process.env.REDIS_URL ?? '') !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL or no Redis; npm run test:integration starts both.');

const LIMIT = 30;
/** Patient enough that a busy machine does not look like an outage before there is one. */
const REDIS_TIMEOUT_MS = '2000';
/** A router asks every two seconds how many there are, and until it has heard of a new one its share is larger. */
const HEARD_OF_MS = 5_000;

describe.skipIf(!canRun)('three routers whose Redis is frozen', () => {
  let redis: StartedServer;
  let services: ThreeServices;
  let routers: string[];
  let drop: () => Promise<void>;

  beforeAll(async () => {
    const database = await createPostgresDatabase();
    drop = database.drop;
    // One of their own: no other test may meet it frozen.
    redis = await startRedis();
    services = await startThreeServices({
      databaseUrl: database.url,
      env: { ...redis.env, REDIS_TIMEOUT_MS },
    });
    routers = [services.url, await services.addRouter(), await services.addRouter()];
  });
  afterAll(async () => {
    signal('SIGCONT');
    await services?.dispose();
    await redis?.stop();
    await drop?.();
  });

  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    if (redis?.pid !== undefined) process.kill(redis.pid, name);
  };

  async function newTenant(tenant_id: string, on_outage: 'degrade' | 'deny'): Promise<string> {
    const rate_limits = { requests_per_minute: LIMIT, requests_per_hour: null, on_outage };
    await createTenant(services, { tenant_id, display_name: tenant_id, rate_limits });
    return createKey(services, tenant_id, { user_id: 'alice' });
  }

  const statusesOf = (key: string, count: number) =>
    Promise.all(
      Array.from(
        { length: count },
        async (_, i) => (await call(routers[i % 3] ?? '', 'GET /v1/models', { key })).status,
      ),
    );

  const readiness = () => Promise.all(routers.map((url) => call(url, 'GET /readyz')));

  const untilLimitsAre = (state: 'ok' | 'degraded') =>
    eventually(`limits are ${state}`, async () => {
      const answers = await readiness();
      return answers.every(({ json }) => at(json, 'checks.limits') === state) ? answers : undefined;
    });

  it('answer by their shares, tell of it, stay ready, and share the limit again afterwards', async () => {
    const key = await newTenant('degrading', 'degrade');
    const denying = await newTenant('denying', 'deny');
    await untilLimitsAre('ok');
    await delay(HEARD_OF_MS);
    const used = 9;
    // Its policy is known to each, so that the database is not what is waited for.
    expect(await statusesOf(denying, 3)).toEqual([200, 200, 200]);
    expect(await statusesOf(key, used)).toEqual(Array(used).fill(200));

    signal('SIGSTOP');
    try {
      const statuses = await statusesOf(key, 150);
      expect(new Set(statuses)).toEqual(new Set([200, 429]));
      const admitted = statuses.filter((status) => status === 200).length;
      // A third each, and what was admitted before it is not given again: 10 - 3 of each.
      expect(admitted).toBeLessThanOrEqual(LIMIT - used);
      const degraded = await untilLimitsAre('degraded');
      expect(degraded.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(new Set(await statusesOf(denying, 6))).toEqual(new Set([503]));
      expect(await services.log()).toMatch(/"metric":"RedisOutageSeconds"/);
    } finally {
      signal('SIGCONT');
    }
    await untilLimitsAre('ok');
    // Redis may count what it was asked just before it froze as well: never more than the limit again.
    const after = (await statusesOf(key, 150)).filter((status) => status === 200).length;
    expect(after).toBeLessThanOrEqual(LIMIT - used);
    const fresh = await newTenant('fresh', 'degrade');
    expect((await statusesOf(fresh, 150)).filter((status) => status === 200)).toHaveLength(LIMIT);
    expect(await statusesOf(denying, 3)).toEqual([200, 200, 200]);
  });
});
