import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { type PacedEngine, paceWords, startPacedEngine } from '#test/support/fleet/paced-engine.ts';
import { call, eventually, streamEvents } from '#test/support/http-client.ts';
import { startThreeServices, type ThreeServices } from '#test/support/start-three-services.ts';
import { createTenants, type Keys } from '#test/support/tenants.ts';

/** Fewer than one tenant wants, so that its streams reach the limit. */
const CONNECTIONS = 100;
const SHARE = 80;
const FLOOD = 270;

/** Alone a call takes some 50 ms here; behind 270 streams it took 36 s. */
const MAX_CALL_MS = 5_000;

const chat = (words: string, stream: boolean) => ({
  model: 'served',
  stream,
  messages: [{ role: 'user', content: words }],
});

if (POSTGRES_URL === '') {
  console.warn('SKIPPED: no PostgreSQL (TEST_POSTGRES_URL); npm run test:integration starts one.');
}

describe.skipIf(POSTGRES_URL === '')('streams of one tenant, however many', () => {
  let engine: PacedEngine;
  let services: ThreeServices;
  let keys: Keys;
  let drop: () => Promise<void>;
  const leaving = new AbortController();
  const outcomes: string[] = [];

  beforeAll(async () => {
    const database = await createPostgresDatabase();
    drop = database.drop;
    engine = await startPacedEngine();
    services = await startThreeServices({
      databaseUrl: database.url,
      env: {
        ORCHESTRATOR_CONNECTIONS: String(CONNECTIONS),
        INFERENCE_BASE_URL: engine.baseUrl,
        INFERENCE_MODEL: 'served',
      },
    });
    keys = await createTenants(services);
    for (let number = 0; number < FLOOD; number++) void flood();
    await eventually('the streams have reached their share', async () =>
      engine.running() >= SHARE ? true : undefined,
    );
  });
  afterAll(async () => {
    leaving.abort();
    await services?.dispose();
    await engine?.close();
    await drop?.();
  });

  async function flood(): Promise<void> {
    const json = chat(paceWords({ pieces: 600, pauseMs: 100 }), true);
    try {
      const events = streamEvents(services.url, 'POST /v1/chat/completions', {
        key: keys.carol,
        json,
        signal: leaving.signal,
      });
      for await (const { data } of events) {
        const code = (data as { error?: { code?: string } }).error?.code;
        if (code !== undefined) outcomes.push(code);
      }
    } catch (error) {
      outcomes.push(/\b(429|503)\b/.exec(String(error))?.[1] ?? 'left');
    }
  }

  async function timed(endpoint: string, options: Parameters<typeof call>[2]): Promise<void> {
    const startedAt = performance.now();
    const { status, text } = await call(services.url, endpoint, options);
    expect([endpoint, status, status === 200 ? '' : text]).toEqual([endpoint, 200, '']);
    expect(performance.now() - startedAt).toBeLessThan(MAX_CALL_MS);
  }

  test('leave another tenant’s turns, short calls and the readiness of the router as they are', async () => {
    for (let round = 0; round < 5; round++) {
      await timed('POST /v1/chat/completions', { key: keys.alice, json: chat('Hello', false) });
      await timed('GET /v1/conversations', { key: keys.alice });
      await timed('GET /v1/models', { key: keys.alice });
      await timed('GET /v1/conversations', { key: keys.carol });
      await timed('GET /readyz', {});
    }
    expect(engine.running()).toBeLessThanOrEqual(SHARE + 1);
  });

  test('beyond the tenant’s share are refused as its own, and those under way go on', async () => {
    await eventually('the others have waited long enough', async () =>
      outcomes.length >= FLOOD - SHARE ? true : undefined,
    );
    expect(new Set(outcomes)).toEqual(new Set(['tenant_overloaded']));
    expect(outcomes).toHaveLength(FLOOD - SHARE);
    expect(engine.running()).toBe(SHARE);
  });
});
