import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED_ROUTES } from '#app/schemas/tenant-config.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { createFleetTenants } from '#test/support/fleet/fleet-tenants.ts';
import { PACED_PIECE, paceWords } from '#test/support/fleet/paced-engine.ts';
import { type Fleet, startFleet } from '#test/support/fleet/start-fleet.ts';
import { describeRequests, startLoad, summaryOf } from '#test/support/fleet/start-load.ts';
import { at, call, eventually, streamEvents, textAt } from '#test/support/http-client.ts';
import { type StartedPostgres, startPostgres } from '#test/support/start-postgres.ts';

const REDIS_URL = process.env.REDIS_URL ?? '';
const canRun = POSTGRES_URL !== '' && REDIS_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL or no Redis; npm run test:integration starts both.');

/** Errors that say that the database is away, and that the client may try again. */
const RETRYABLE = ['service_unavailable', 'overloaded'];

describe.skipIf(!canRun)('PostgreSQL that goes away under router, orchestrator and RAG service', () => {
  let postgres: StartedPostgres;
  let fleet: Fleet;
  let keys: Map<string, string>;
  let key: string;

  beforeAll(async () => {
    // One of our own, which no other test file shares.
    postgres = await startPostgres({ durable: true });
    const { url } = await createPostgresDatabase(postgres.env.TEST_POSTGRES_URL);
    fleet = await startFleet({ databaseUrl: url, redisUrl: REDIS_URL, routers: 2, orchestrators: 1 });
    keys = await createFleetTenants(fleet);
    key = keys.get('acme') ?? '';
  });
  afterAll(async () => {
    await fleet?.dispose();
    await postgres?.stop();
  });

  const load = (seed: number) =>
    startLoad({
      // Past the front: what it does with readiness is not asked here.
      url: routerUrls()[0] ?? '',
      keys,
      seed,
      perSecond: 15,
      kinds: { chat: 4, graph: 2, rag: 2, embeddings: 1, search: 1, usage: 2 },
      connections: 'keep-alive',
    });

  /** Every backend of every process: of transactions under way, idle ones, listeners, the job queue. */
  async function terminateBackends(): Promise<number> {
    const client = new pg.Client({ connectionString: postgres.adminUrl });
    await client.connect();
    const { rows } = await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    );
    await client.end();
    return rows.length;
  }

  /** Readiness is not asked: each process must answer for itself. */
  const routerUrls = () => fleet.routers.members.map(({ url }) => url);

  async function recovers(): Promise<void> {
    for (const url of routerUrls()) {
      await eventually('the router answers again', async () => {
        const asked = await call(url, 'POST /v1/chat', {
          key,
          json: { message: 'When does the office open?' },
        });
        const listed = await call(url, 'GET /v1/usage', { key });
        return asked.status === 200 && listed.status === 200 ? true : undefined;
      });
    }
    // The RAG service's job queue, too.
    const form = new FormData();
    form.append('file', new Blob([`The lift was mended at ${Date.now()}.`]), 'lift.txt');
    const added = await call(fleet.url, 'POST /v1/vault/documents', { key, body: form });
    expect(added.status).toBe(201);
    await eventually('a document is indexed', async () => {
      const { json } = await call(fleet.url, `GET /v1/vault/documents/${textAt(added.json, 'document_id')}`, {
        key,
      });
      return textAt(json, 'status') === 'ready' ? true : undefined;
    });
  }

  /** A change through the one router is known to the other at once: by LISTEN, for it is believed for two seconds otherwise. */
  async function listens(): Promise<void> {
    const [first = '', second = ''] = routerUrls();
    await eventually('a change reaches the other router by its notification', async () => {
      const read = () => call(second, 'POST /v1/chat', { key, json: { message: 'hello' } });
      await read();
      const change = async (allowed_routes: string[]) => {
        const changed = await call(first, 'PATCH /admin/tenants/acme', {
          key: fleet.operatorKey,
          json: { allowed_routes },
        });
        expect(changed.status).toBe(200);
      };
      await change([]);
      await delay(500);
      const { status } = await read();
      await change([...ALLOWED_ROUTES]);
      return status === 403 ? true : undefined;
    });
  }

  it('every backend terminated while transactions run: no process exits, and all goes on', async () => {
    const running = load(11);
    for (let round = 0; round < 5; round++) {
      await delay(800);
      expect(await terminateBackends()).toBeGreaterThan(0);
    }
    await delay(1_000);
    const requests = await running.stop();
    console.log(JSON.stringify(summaryOf(requests)));
    expect(await fleet.unexpectedExits()).toEqual([]);
    const others = requests.filter(
      ({ verdict, code }) => verdict !== 'complete' && !RETRYABLE.includes(code ?? ''),
    );
    expect(describeRequests(others)).toEqual([]);
    await recovers();
    await listens();
  });

  it('frozen for ten seconds: streams end whole, what needs it is refused in time, and all goes on', async () => {
    const pieces = 80;
    const stream = (async () => {
      let last: unknown;
      const json = {
        model: 'served',
        stream: true,
        messages: [{ role: 'user', content: paceWords({ pieces, pauseMs: 100 }) }],
      };
      for await (const { data } of streamEvents(routerUrls()[1] ?? '', 'POST /v1/chat/completions', {
        key,
        json,
      }))
        last = data;
      return last;
    })();
    await delay(1_000);
    await postgres.freeze();
    const asked = performance.now();
    const refused = await call(routerUrls()[0] ?? '', 'GET /v1/conversations', { key });
    const alive = await call(routerUrls()[0] ?? '', 'GET /readyz');
    const waitedMs = performance.now() - asked;
    await delay(Math.max(0, 10_000 - waitedMs));
    await postgres.thaw();
    expect([refused.status, RETRYABLE.includes(String(at(refused.json, 'error.code')))]).toEqual([503, true]);
    // Longer than any statement may take, it does not wait.
    expect(waitedMs).toBeLessThan(40_000);
    // What all replicas share decides nothing about one of them.
    expect(alive.status).toBe(200);
    expect(await stream).toBe('[DONE]');
    expect(await fleet.unexpectedExits()).toEqual([]);
    await recovers();
    await listens();
  });

  it('kill -9 and a restart: streams end whole, the rest gets a retryable 503, all recovers by itself', async () => {
    const pieces = 60;
    const streams = [0, 1, 2].map(async () => {
      const events = streamEvents(routerUrls()[1] ?? '', 'POST /v1/chat/completions', {
        key,
        json: {
          model: 'served',
          stream: true,
          messages: [{ role: 'user', content: paceWords({ pieces, pauseMs: 100 }) }],
        },
      });
      let text = '';
      let last: unknown;
      for await (const { data } of events) {
        text += String(at(data, 'choices.0.delta.content') ?? '');
        last = data;
      }
      return { pieces: text.split(PACED_PIECE).length - 1, last };
    });
    await delay(1_500);
    const running = load(12);
    await delay(500);
    await postgres.crash();

    await delay(2_500);
    const refused = await call(routerUrls()[0] ?? '', 'GET /v1/conversations', { key });
    expect([refused.status, at(refused.json, 'error.code')]).toEqual([503, 'service_unavailable']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.headers['x-should-retry']).not.toBe('false');

    expect(await Promise.all(streams)).toEqual(Array(3).fill({ pieces, last: '[DONE]' }));
    const requests = await running.stop();
    console.log(JSON.stringify(summaryOf(requests)));
    await postgres.restart();
    expect(await fleet.unexpectedExits()).toEqual([]);
    const others = requests.filter(
      ({ verdict, code }) => verdict !== 'complete' && !RETRYABLE.includes(code ?? ''),
    );
    expect(describeRequests(others)).toEqual([]);
    await recovers();
    await listens();
  });
});
