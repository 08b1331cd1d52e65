import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { call, textAt } from '#test/support/http-client.ts';
import { startThreeServices, type ThreeServices } from '#test/support/start-three-services.ts';

const REDIS_URL = process.env.REDIS_URL ?? '';
const canRun = POSTGRES_URL !== '' && REDIS_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL or no Redis; npm run test:integration starts both.');

/** A change must be in effect on every router within this, milliseconds. */
const EFFECTIVE_MS = 5_000;

const ISSUER = 'https://login.example.com/';
/** The issuer's cool-down between two fetches of a router, milliseconds. */
const COOLDOWN_MS = 1_000;
const pair = await generateKeyPair('ES256', { extractable: true });
const nextPair = await generateKeyPair('ES256', { extractable: true });

const tokenOf = (tenantId: string, userId: string, kid: 'first' | 'next' = 'first'): Promise<string> =>
  new SignJWT({ tenant_id: tenantId })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer(ISSUER)
    .setAudience('bulkhead')
    .setSubject(userId)
    .setExpirationTime('10 minutes')
    .sign((kid === 'first' ? pair : nextPair).privateKey);

/** An issuer's key set that takes a moment to answer, and how it was asked for. */
async function startKeySet() {
  const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'first' }];
  const asked = { times: 0, now: 0, most: 0 };
  const server = createServer(async (_request, response) => {
    asked.times += 1;
    asked.now += 1;
    asked.most = Math.max(asked.most, asked.now);
    await sleep(100);
    asked.now -= 1;
    response.end(JSON.stringify({ keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    keys,
    asked,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

describe.skipIf(!canRun)('three routers on one database and one Redis', () => {
  let services: ThreeServices;
  let routers: string[];
  let drop: () => Promise<void>;
  let tenants = 0;
  let jwks: Awaited<ReturnType<typeof startKeySet>>;

  beforeAll(async () => {
    const database = await createPostgresDatabase();
    drop = database.drop;
    jwks = await startKeySet();
    const JWT_ISSUERS = JSON.stringify([{ issuer: ISSUER, audience: 'bulkhead', jwks_url: jwks.url }]);
    // What an outage of Redis changes is shown elsewhere; a machine without a free processor must not look like one.
    const env = { REDIS_URL, JWT_ISSUERS, REDIS_TIMEOUT_MS: '20000' };
    services = await startThreeServices({ databaseUrl: database.url, env });
    routers = [services.url, await services.addRouter(), await services.addRouter()];
  });
  afterAll(async () => {
    await services?.dispose();
    await drop?.();
    await jwks?.close();
  });

  const asOperator = async (endpoint: string, json?: unknown) => {
    const answer = await call(services.url, endpoint, {
      key: services.operatorKey,
      ...(json === undefined ? {} : { json }),
    });
    expect(answer.status, answer.text).toBeLessThan(300);
    return answer.text === '' ? null : answer.json;
  };

  async function newTenant(config: Record<string, unknown> = {}) {
    const tenantId = `replicas-${tenants++}`;
    await asOperator('POST /admin/tenants', { tenant_id: tenantId, display_name: tenantId });
    await asOperator(`PATCH /admin/tenants/${tenantId}`, config);
    const created = await asOperator(`POST /admin/tenants/${tenantId}/keys`, { user_id: 'alice' });
    return { tenantId, key: textAt(created, 'api_key'), keyId: textAt(created, 'key_id') };
  }

  const onEach = (key: string, endpoint: string) =>
    Promise.all(routers.map(async (url) => (await call(url, endpoint, { key })).status));

  it('admit exactly the limit of a thousand requests at once', async () => {
    for (let round = 0; round < 20; round++) {
      const limit = 60 + round;
      const { key } = await newTenant({
        rate_limits: { requests_per_minute: limit, requests_per_hour: null },
      });
      // The policy is read once everywhere, so that the round is about limits alone. Each costs one request.
      expect(await onEach(key, 'GET /v1/models')).toEqual([200, 200, 200]);
      const statuses = await Promise.all(
        Array.from({ length: 1_000 }, async (_, i) => {
          const answer = await call(routers[i % 3] ?? '', 'GET /v1/models', { key });
          return answer.status;
        }),
      );
      const count = (status: number) => statuses.filter((other) => other === status).length;
      const outages = (await services.log()).split('\n').filter((line) => line.includes('redis_outage'));
      expect({ admitted: count(200), denied: count(429) }, outages.join('\n')).toEqual({
        admitted: limit - 3,
        denied: 1_000 - limit + 3,
      });
    }
  });

  /** Asks all routers over and over until `stop`; every status that was not expected is kept. */
  function keepAsking(key: string, allowed: readonly number[]) {
    const surprises: number[] = [];
    let stopped = false;
    const done = Promise.all(
      routers.map(async (url) => {
        while (!stopped) {
          const { status } = await call(url, 'GET /v1/usage', { key });
          if (!allowed.includes(status)) surprises.push(status);
          await sleep(20);
        }
      }),
    );
    return {
      async stop() {
        stopped = true;
        await done;
        return surprises;
      },
    };
  }

  it('hear of a revoked key within five seconds, under load and without a failure', async () => {
    const { tenantId, key, keyId } = await newTenant({
      rate_limits: { requests_per_minute: null, requests_per_hour: null },
    });
    expect(await onEach(key, 'GET /v1/usage')).toEqual([200, 200, 200]);
    const load = keepAsking(key, [200, 401]);
    await asOperator(`DELETE /admin/tenants/${tenantId}/keys/${keyId}`);
    await sleep(EFFECTIVE_MS);
    expect(await onEach(key, 'GET /v1/usage')).toEqual([401, 401, 401]);
    expect(await load.stop()).toEqual([]);
  });

  it('hear of a removed member within five seconds, by key and by token, under load and without a failure', async () => {
    const { tenantId, key } = await newTenant({
      rate_limits: { requests_per_minute: null, requests_per_hour: null },
    });
    const ofAlice = await tokenOf(tenantId, 'alice');
    const ofBob = await tokenOf(tenantId, 'bob');
    for (const good of [key, ofAlice, ofBob]) {
      expect(await onEach(good, 'GET /v1/usage')).toEqual([200, 200, 200]);
    }
    const loads = [keepAsking(key, [200, 401]), keepAsking(ofAlice, [200, 403]), keepAsking(ofBob, [200])];
    await call(routers[1] ?? '', `DELETE /admin/tenants/${tenantId}/members/alice`, {
      key: services.operatorKey,
    });
    await sleep(EFFECTIVE_MS);
    expect(await onEach(key, 'GET /v1/usage')).toEqual([401, 401, 401]);
    expect(await onEach(ofAlice, 'GET /v1/usage')).toEqual([403, 403, 403]);
    expect(await onEach(ofBob, 'GET /v1/usage')).toEqual([200, 200, 200]);
    for (const load of loads) expect(await load.stop()).toEqual([]);
  });

  it('follow an issuer that changes its keys, under load, without a failure and without crowding it', async () => {
    const { tenantId } = await newTenant({
      rate_limits: { requests_per_minute: null, requests_per_hour: null },
    });
    const before = await tokenOf(tenantId, 'alice', 'first');
    const after = await tokenOf(tenantId, 'alice', 'next');
    expect(await onEach(before, 'GET /v1/usage')).toEqual([200, 200, 200]);
    const startedAt = performance.now();
    const asked = jwks.asked.times;
    const load = keepAsking(before, [200]);
    // As issuers do: published some time before it signs.
    jwks.keys.push({ ...(await exportJWK(nextPair.publicKey)), kid: 'next' });
    await sleep(EFFECTIVE_MS);
    const nextLoad = keepAsking(after, [200]);
    await sleep(COOLDOWN_MS);
    expect(await load.stop()).toEqual([]);
    const withdrawn = keepAsking(before, [200, 401]);
    jwks.keys.shift();
    await sleep(EFFECTIVE_MS);
    expect(await onEach(before, 'GET /v1/usage')).toEqual([401, 401, 401]);
    expect(await onEach(after, 'GET /v1/usage')).toEqual([200, 200, 200]);
    expect([await nextLoad.stop(), await withdrawn.stop()]).toEqual([[], []]);
    // One fetch at a time of each router, and never two within its cool-down.
    expect(jwks.asked.most).toBeLessThanOrEqual(routers.length);
    const most = routers.length * (Math.ceil((performance.now() - startedAt) / COOLDOWN_MS) + 1);
    expect(jwks.asked.times - asked).toBeLessThanOrEqual(most);
  });

  it('hear of a changed policy within five seconds, under load and without a failure', async () => {
    const { tenantId, key } = await newTenant({
      rate_limits: { requests_per_minute: null, requests_per_hour: null },
    });
    expect(await onEach(key, 'GET /v1/usage')).toEqual([200, 200, 200]);
    const load = keepAsking(key, [200, 403]);
    await asOperator(`PATCH /admin/tenants/${tenantId}`, { allowed_routes: ['chat'] });
    await sleep(EFFECTIVE_MS);
    expect(await onEach(key, 'GET /v1/usage')).toEqual([403, 403, 403]);
    await asOperator(`PATCH /admin/tenants/${tenantId}`, { enabled: false });
    await sleep(EFFECTIVE_MS);
    expect(await onEach(key, 'GET /v1/usage')).toEqual([403, 403, 403]);
    expect(await load.stop()).toEqual([]);
  });
});
