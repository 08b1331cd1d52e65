import { describe, expect, test } from 'vitest';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import { silentLogger } from '#observability/logger.ts';
import { freePort } from '#test/support/free-port.ts';
import { createRouterFixture, seamOrchestrator, seamRag, threeWords } from '#test/support/router-fixture.ts';

async function readinessWith(options: NonNullable<Parameters<typeof createRouterFixture>[0]>) {
  const fixture = await createRouterFixture(options);
  try {
    const response = await fixture.app.inject('/readyz');
    return { status: response.statusCode, body: response.json() };
  } finally {
    await fixture.close();
  }
}

const ALL_OK = {
  usage_log: 'ok',
  database: 'ok',
  orchestrator: 'ok',
  rag: 'ok',
  engine: 'ok',
  limits: 'ok',
};
const away = async () => Promise.reject(new Error('connection refused'));

test('a router that cannot record usage is not ready, and says why', async () => {
  expect(await readinessWith({ settings: { USAGE_LOG_MAX_BYTES: 0 } })).toEqual({
    status: 503,
    body: { status: 'not_ready', checks: { ...ALL_OK, usage_log: 'failed' } },
  });
});

describe('what all routers share decides nothing, and is reported', () => {
  const { service } = seamOrchestrator({ turn: threeWords });
  const orchestrator = (checkReady: OrchestratorService['checkReady']) => ({
    orchestrator: { ...service, checkReady },
  });
  test.each<[what: string, options: Parameters<typeof readinessWith>[0], checks: Partial<typeof ALL_OK>]>([
    ['RAG service', { rag: { ...seamRag(), checkReady: away } }, { rag: 'failed' }],
    ['orchestrator', orchestrator(away), { orchestrator: 'failed', engine: 'unknown' }],
    ['engine', orchestrator(async () => ({ engine: 'failed' })), { engine: 'failed' }],
    // It says nothing, and the first probe does not wait for it.
    [
      'silent orchestrator',
      orchestrator(() => new Promise(() => {})),
      { orchestrator: 'unknown', engine: 'unknown' },
    ],
  ])('%s', async (_what, options, checks) => {
    expect(await readinessWith(options)).toEqual({
      status: 200,
      body: { status: 'ready', checks: { ...ALL_OK, ...checks } },
    });
  });
});

test('a router without its Redis is ready, says that its limits are its own, and tells it as a metric', async () => {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const logger = { ...silentLogger, warn: (fields: (typeof lines)[number]) => void lines.push(fields) };
  const REDIS_URL = `redis://127.0.0.1:${await freePort()}`;
  expect(await readinessWith({ settings: { REDIS_URL }, logger })).toEqual({
    status: 200,
    body: { status: 'ready', checks: { ...ALL_OK, limits: 'degraded' } },
  });
  expect(lines).toContainEqual(
    expect.objectContaining({ event: 'redis_outage', metric: 'RedisOutageSeconds', is_out: true }),
  );
});
