import { expect, test } from 'vitest';
import { silentLogger } from '#observability/logger.ts';
import { freePort } from '#test/support/free-port.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

async function readinessWith(options: NonNullable<Parameters<typeof createRouterFixture>[0]>) {
  const fixture = await createRouterFixture(options);
  try {
    const response = await fixture.app.inject('/readyz');
    return { status: response.statusCode, body: response.json() };
  } finally {
    await fixture.close();
  }
}

test('a router that cannot record usage is not ready, and says why', async () => {
  expect(await readinessWith({ settings: { USAGE_LOG_MAX_BYTES: 0 } })).toEqual({
    status: 503,
    body: {
      status: 'not_ready',
      checks: { database: 'ok', orchestrator: 'ok', rag: 'ok', usage_log: 'failed', limits: 'ok' },
    },
  });
});

test('a router without its Redis is ready, says that its limits are its own, and tells it as a metric', async () => {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const logger = { ...silentLogger, warn: (fields: (typeof lines)[number]) => void lines.push(fields) };
  const REDIS_URL = `redis://127.0.0.1:${await freePort()}`;
  expect(await readinessWith({ settings: { REDIS_URL }, logger })).toEqual({
    status: 200,
    body: {
      status: 'ready',
      checks: { database: 'ok', orchestrator: 'ok', rag: 'ok', usage_log: 'ok', limits: 'degraded' },
    },
  });
  expect(lines).toContainEqual(
    expect.objectContaining({ event: 'redis_outage', metric: 'RedisOutageSeconds', is_out: true }),
  );
});
