import { createPostgresDatabase } from '#test/support/create-postgres-database.ts';
import { type Bulkhead, startBulkhead } from '#test/support/start-bulkhead.ts';
import { startPostgres } from '#test/support/start-postgres.ts';
import { startRedis } from '#test/support/start-redis.ts';
import { NotInstalledError, type StartedServer } from '#test/support/started-server.ts';
import { createKey, createTenant } from '#test/support/tenants.ts';
import { MODEL, type OpenPeer, type Peer } from './peer.ts';

const SCALED_OUT = 'bulkhead on PostgreSQL and Redis';

/** Every policy is on; no limit is so low that the load meets it. */
const POLICY = {
  sensitive_patterns: [
    { name: 'internal hosts', pattern: '[a-z0-9-]+\\.corp\\.example' },
    { name: 'ticket numbers', pattern: '\\bSEC-[0-9]{4,}\\b' },
    { name: 'passwords', pattern: 'password\\s*[:=]' },
  ],
  refusal_rules: [{ name: 'legal', phrases: ['legal advice', 'sue the company'] }],
  blocked_tools: ['shell'],
  rate_limits: {
    requests_per_minute: 10_000_000,
    requests_per_hour: 100_000_000,
    tokens_per_minute: 1_000_000_000,
    concurrent_requests: 10_000,
  },
};

/** Bulkhead in one process, on its embedded defaults unless `env` says otherwise. */
export async function openBulkhead(
  upstream: string,
  name = 'bulkhead',
  env: Record<string, string> = {},
): Promise<OpenPeer> {
  const bulkhead = await startBulkhead({
    env: { INFERENCE_BASE_URL: `${upstream}/v1`, INFERENCE_MODEL: MODEL, LOG_LEVEL: 'info', ...env },
  });
  try {
    const key = await createBenchTenant(bulkhead);
    const headers = { authorization: `Bearer ${key}` };
    return {
      contestant: { name, url: `${bulkhead.url}/v1/chat/completions`, headers },
      close: () => bulkhead.dispose(),
    };
  } catch (error) {
    await bulkhead.dispose();
    throw error;
  }
}

/** Bulkhead over native servers, as it is scaled out; absent where this machine has none. */
export async function openScaledOut(upstream: string): Promise<Peer> {
  const servers: StartedServer[] = [];
  const stopServers = async () => {
    for (const server of servers.reverse()) await server.stop();
  };
  try {
    for (const start of [startPostgres, startRedis]) servers.push(await start());
    const [postgres, redis] = servers.map(({ env }) => env);
    const open = await openBulkhead(upstream, SCALED_OUT, {
      DATABASE_URL: (await createPostgresDatabase(postgres?.TEST_POSTGRES_URL)).url,
      REDIS_URL: redis?.REDIS_URL ?? '',
    });
    return {
      ...open,
      close: async () => {
        await open.close();
        await stopServers();
      },
    };
  } catch (error) {
    await stopServers();
    if (error instanceof NotInstalledError) return { name: SCALED_OUT, absent: error.message };
    throw error;
  }
}

async function createBenchTenant(platform: Bulkhead): Promise<string> {
  await createTenant(platform, { tenant_id: 'bench', display_name: 'Bench', ...POLICY });
  return createKey(platform, 'bench', { user_id: 'bench' });
}
