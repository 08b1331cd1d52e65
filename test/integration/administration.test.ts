import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import { policyDryRunSchema } from '#app/schemas/policy-dry-run.ts';
import { requestLogPageSchema } from '#app/schemas/request-log.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

if (POSTGRES_URL === '') {
  console.warn('SKIPPED: no PostgreSQL (TEST_POSTGRES_URL); npm run test:integration starts one.');
}

/** Two routers, each with a pool of its own, on one server. */
describe.skipIf(POSTGRES_URL === '')('administration on native PostgreSQL', () => {
  type Router = { fixture: Awaited<ReturnType<typeof createRouterFixture>>; close(): Promise<void> };
  const routers: Router[] = [];
  const admins = new Map<string, { authorization: string }>();
  let drop: () => Promise<void>;

  async function startRouter(url: string): Promise<Router> {
    const { database } = await openPostgresDatabase({
      connectionString: url,
      poolSize: 4,
      statementTimeoutMs: 20_000,
    });
    const fixture = await createRouterFixture({ database });
    return {
      fixture,
      async close() {
        await fixture.close();
        await database.close();
      },
    };
  }
  const appOf = (index: number) => {
    const router = routers[index % routers.length];
    if (router === undefined) throw new Error('No router runs.');
    return router.fixture.app;
  };
  const headersOf = (tenant: string) => admins.get(tenant) ?? { authorization: 'none' };

  beforeAll(async () => {
    const created = await createPostgresDatabase();
    drop = created.drop;
    const first = await startRouter(created.url);
    routers.push(first);
    const { app, operator } = first.fixture;
    const post = (url: string, payload: object) =>
      app.inject({ method: 'POST', url, headers: operator, payload });
    for (const tenant of ['initech', 'umbrella']) {
      const made = await post('/admin/tenants', { tenant_id: tenant, display_name: `${tenant}-mark` });
      expect(made.statusCode).toBe(201);
      const key = await post(`/admin/tenants/${tenant}/keys`, { user_id: `${tenant}-root`, role: 'admin' });
      admins.set(tenant, { authorization: `Bearer ${key.json().api_key}` });
    }
    // Its operator's key replaces the first's: from here on only the tenants' admins ask.
    routers.push(await startRouter(created.url));
  });
  afterAll(async () => {
    for (const router of routers) await router.close();
    await drop?.();
  });

  it('both routers log requests, and each tenant sees its own', async () => {
    for (const tenant of ['initech', 'umbrella']) {
      for (let i = 0; i < 6; i++) {
        const answer = await appOf(i).inject({
          method: 'POST',
          url: '/v1/chat',
          headers: headersOf(tenant),
          payload: { message: `question ${i} of ${tenant}` },
        });
        expect(answer.statusCode).toBe(200);
      }
    }
    for (const tenant of ['initech', 'umbrella']) {
      const list = async () => {
        const url = `/admin/tenants/${tenant}/requests?limit=100&route=rag`;
        const { body } = await appOf(0).inject({ url, headers: headersOf(tenant) });
        return requestLogPageSchema.parse(JSON.parse(body)).data;
      };
      let rows = await list();
      while (rows.length < 6) {
        await delay(500);
        rows = await list();
      }
      expect(rows).toHaveLength(6);
      expect(new Set(rows.map((row) => row.tenant_id))).toEqual(new Set([tenant]));
      const ids = rows.map((row) => row.request_id);
      expect(ids).toEqual([...ids].sort().reverse());
    }
  });

  it('a dry run replays them', async () => {
    const { body } = await appOf(1).inject({
      method: 'POST',
      url: '/admin/policy/dry-run',
      headers: headersOf('initech'),
      payload: { tenant_id: 'initech', config: { refusal_rules: [{ name: 'x', phrases: ['question'] }] } },
    });
    const report = policyDryRunSchema.parse(JSON.parse(body));
    expect(report.undecidable).toBe(6);
    expect(report.newly_refused + report.newly_allowed).toBe(0);
  });

  it('one request with an idempotency key is done once, whichever routers it is sent to', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        appOf(index).inject({
          method: 'POST',
          url: '/admin/tenants/initech/keys',
          headers: { ...headersOf('initech'), 'idempotency-key': 'one' },
          payload: { user_id: 'peter' },
        }),
      ),
    );
    expect(
      answers.map(({ statusCode }) => statusCode).filter((status) => ![201, 409].includes(status)),
    ).toEqual([]);
    const keys = new Set(answers.filter((one) => one.statusCode === 201).map((one) => one.json().key_id));
    expect(keys.size).toBe(1);
    const listed = await appOf(0).inject({
      url: '/admin/tenants/initech/keys?limit=100',
      headers: headersOf('initech'),
    });
    const made = listed.json().data.filter((key: { user_id: string }) => key.user_id === 'peter');
    expect(made).toHaveLength(1);
  });

  it('an export has the tenant’s rows and no other’s', async () => {
    const { statusCode, rawPayload } = await appOf(1).inject({
      method: 'POST',
      url: '/admin/tenants/initech/export',
      headers: headersOf('initech'),
    });
    expect(statusCode).toBe(200);
    const text = gunzipSync(rawPayload).toString('latin1');
    for (const part of ['initech-mark', 'manifest.json', 'tables/request_log/000001.jsonl', '"decision"']) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain('umbrella');
    expect(text).not.toMatch(/"secret_hmac":/);
  });
});
