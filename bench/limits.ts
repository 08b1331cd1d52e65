/**
 * Limits over three router processes on one Redis: `npm run bench -- limits [--smoke] [--redis-timeout <ms>]`. Needs
 * PostgreSQL and Redis; `scripts/install-integration-dependencies.sh` installs both.
 *
 * One tenant with a limit a minute is asked for one by one until most of it is used, so that its room comes back bit by
 * bit a minute later; then in 20 rounds of 1,000 requests at once, spread over the routers, for more than two minutes: windows
 * fill, slide and fill again. Redis keeps when it admitted each, by its own clock; so every
 * sliding minute there is can be counted afterwards. None may hold more than the limit, and as more is asked for than
 * there is room in each round, each must meet a full one.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createClient } from '@redis/client';
import { createPostgresDatabase } from '#test/support/create-postgres-database.ts';
import { call } from '#test/support/http-client.ts';
import { startPostgres } from '#test/support/start-postgres.ts';
import { startRedis } from '#test/support/start-redis.ts';
import { startThreeServices } from '#test/support/start-three-services.ts';
import { createKey, createTenant } from '#test/support/tenants.ts';
import { admissionsOf, mostInAWindow } from './support/admissions.ts';
import { describeMachine, printClaim } from './support/claims.ts';

const TENANT = 'counted';
const LIMIT = 137;
const WINDOW_MS = 60_000;
/** So many rounds reach over more than two windows, and no round falls together with the end of another’s minute. */
const BETWEEN_ROUNDS_MS = 6_700;
/** Asked for one by one at first. */
const SPREAD = { requests: 100, everyMs: 400 };
/** Redis keeps admissions for as long as the longest window that is asked for. */
const NEVER_REACHED = 100_000_000;

/** Times are Redis’, milliseconds. */
type Round = { admitted: number; denied: number; startedAt: number; endedAt: number };

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      smoke: { type: 'boolean', default: false },
      'redis-timeout': { type: 'string', default: '50' },
    },
  });
  const rounds = values.smoke ? 3 : 20;
  const requests = values.smoke ? 300 : 1_000;
  const machine = describeMachine();
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const postgres = await startPostgres();
    closers.push(() => postgres.stop());
    const redis = await startRedis();
    closers.push(() => redis.stop());
    const database = await createPostgresDatabase(postgres.env.TEST_POSTGRES_URL);
    const services = await startThreeServices({
      databaseUrl: database.url,
      env: { ...redis.env, REDIS_TIMEOUT_MS: values['redis-timeout'] },
    });
    closers.push(() => services.dispose());
    const routers = [services.url, await services.addRouter(), await services.addRouter()];
    await createTenant(services, {
      tenant_id: TENANT,
      display_name: TENANT,
      rate_limits: { requests_per_minute: LIMIT, requests_per_hour: NEVER_REACHED },
    });
    const key = await createKey(services, TENANT, { user_id: 'alice' });
    const client = createClient({ url: redis.env.REDIS_URL ?? '' });
    await client.connect();
    closers.push(() => client.close());
    const redisNow = async () => {
      const [seconds = '0', microseconds = '0'] = await client.sendCommand<string[]>(['TIME']);
      return Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    };

    const ask = async (i: number) => {
      const { status } = await call(routers[i % routers.length] ?? '', 'GET /v1/models', { key });
      return status;
    };
    const first: number[] = [];
    for (let i = 0; i < (values.smoke ? 10 : SPREAD.requests); i++) {
      first.push(await ask(i));
      await pause(values.smoke ? 0 : SPREAD.everyMs);
    }
    const seen: Round[] = [];
    for (let round = 0; round < rounds; round++) {
      if (round > 0) await pause(values.smoke ? 500 : BETWEEN_ROUNDS_MS);
      const startedAt = await redisNow();
      const statuses = await Promise.all(Array.from({ length: requests }, (_, i) => ask(i)));
      const count = (status: number) => statuses.filter((other) => other === status).length;
      seen.push({ admitted: count(200), denied: count(429), startedAt, endedAt: await redisNow() });
      console.error(`round ${round + 1} of ${rounds}: ${count(200)} admitted`);
    }

    const admissions = await admissionsOf(client, TENANT);
    const fullest = seen.map(({ startedAt, endedAt }) => {
      const during = admissions.filter((at) => at >= startedAt && at <= endedAt + 1);
      return Math.max(...[startedAt, ...during].map((moment) => inTheMinuteBefore(admissions, moment)));
    });
    const log = await services.log();
    const one_by_one = first.filter((status) => status === 200).length;
    const admitted = seen.reduce((sum, round) => sum + round.admitted, 0);
    const claim = {
      claim: 'limits over three routers on one Redis',
      rounds,
      requests_a_round: requests,
      limit_a_minute: LIMIT,
      admitted_one_by_one: one_by_one,
      admitted,
      denied: seen.reduce((sum, round) => sum + round.denied, 0),
      failed: rounds * requests - seen.reduce((sum, round) => sum + round.admitted + round.denied, 0),
      counted_by_redis: admissions.length,
      most_in_any_minute: mostInAWindow(admissions, WINDOW_MS),
      least_full_of_the_fullest_minutes_of_the_rounds: Math.min(...fullest),
      redis_outages: log.split('\n').filter((line) => line.includes('"is_out":true')).length,
      smoke: values.smoke,
      machine,
    };
    printClaim(claim);
    if (claim.redis_outages > 0) {
      throw new Error(
        'Redis was silent for too long on this machine: the run proves nothing. See --redis-timeout.',
      );
    }
    const isExact =
      claim.failed === 0 &&
      claim.counted_by_redis === one_by_one + admitted &&
      claim.most_in_any_minute === LIMIT &&
      claim.least_full_of_the_fullest_minutes_of_the_rounds === LIMIT;
    if (!isExact) throw new Error('The limit did not hold exactly.');
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

const inTheMinuteBefore = (admissions: readonly number[], moment: number): number =>
  admissions.filter((at) => at <= moment && at > moment - WINDOW_MS).length;

if (import.meta.main) await run(process.argv.slice(2));
