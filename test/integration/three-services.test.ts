import { exportPKCS8, generateKeyPair, importPKCS8, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ORCHESTRATOR_PATHS } from '#app/services/orchestrator-http.ts';
import { RAG_PATHS } from '#app/services/rag-http.ts';
import { describeBadInput } from '#test/acceptance/scenarios/bad-input.ts';
import { describeKeptResponses } from '#test/acceptance/scenarios/kept-responses.ts';
import { describeNativeApi } from '#test/acceptance/scenarios/native-api.ts';
import { describeOpenAIClient } from '#test/acceptance/scenarios/openai-client.ts';
import { describeWrongTypes } from '#test/acceptance/scenarios/wrong-types.ts';
import { describeAnswers } from '#test/isolation/scenarios/answers.ts';
import { describeCanary } from '#test/isolation/scenarios/canary.ts';
import { describeCollections } from '#test/isolation/scenarios/collections.ts';
import { describeForeignIds } from '#test/isolation/scenarios/foreign-ids.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { at, call, eventually, textAt } from '#test/support/http-client.ts';
import { FACTS, type SeededPlatform, seedPlatform } from '#test/support/seeded-platform.ts';
import { startThreeServices, type ThreeServices } from '#test/support/start-three-services.ts';

if (POSTGRES_URL === '') {
  console.warn('SKIPPED: no PostgreSQL (TEST_POSTGRES_URL); npm run test:integration starts one.');
}

describe.skipIf(POSTGRES_URL === '')('router, orchestrator and RAG service as processes of their own', () => {
  let services: ThreeServices;
  let seeded: SeededPlatform;
  let drop: () => Promise<void>;
  beforeAll(async () => {
    const database = await createPostgresDatabase();
    drop = database.drop;
    services = await startThreeServices({ databaseUrl: database.url });
    seeded = await seedPlatform(services);
  });
  afterAll(async () => {
    await services?.dispose();
    await drop?.();
  });

  describeOpenAIClient(() => seeded);
  describeKeptResponses(() => seeded);
  describeNativeApi(() => seeded);
  describeBadInput(() => seeded);
  describeWrongTypes(() => seeded);
  describeAnswers(() => seeded);
  describeForeignIds(() => seeded);
  describeCanary(() => seeded);
  describeCollections(() => seeded);

  describe('the services behind the router', () => {
    const HEADER = { alg: 'EdDSA', typ: 'bulkhead-internal+jwt' };
    const CLAIMS = {
      tenant_id: 'acme',
      user_id: 'alice',
      role: 'member',
      scopes: ['chat', 'vault:read', 'vault:write', 'conversations', 'usage:read'],
      key_id: null,
      collections: null,
      request_id: `req_${'0'.repeat(26)}`,
    };
    type Forgery = {
      header?: Readonly<Record<string, string>>;
      claims?: Readonly<Record<string, unknown>>;
      issuer?: string;
      audience?: string;
      issuedAt?: number;
      lifetime?: number;
      key?: string;
    };
    const now = () => Math.floor(Date.now() / 1_000);

    async function mint(forgery: Forgery, audience: string): Promise<string> {
      const issued = forgery.issuedAt ?? now();
      const key = await importPKCS8(forgery.key ?? services.privateKey, 'EdDSA');
      return new SignJWT({ ...CLAIMS, ...forgery.claims })
        .setProtectedHeader({ ...HEADER, ...forgery.header })
        .setIssuer(forgery.issuer ?? 'bulkhead-router')
        .setAudience(forgery.audience ?? audience)
        .setIssuedAt(issued)
        .setExpirationTime(issued + (forgery.lifetime ?? 60))
        .sign(key);
    }

    const targets = () =>
      [
        {
          url: services.orchestratorUrl,
          audience: 'orchestrator',
          other: 'rag-service',
          path: ORCHESTRATOR_PATHS.conversations,
        },
        { url: services.ragUrl, audience: 'rag-service', other: 'orchestrator', path: RAG_PATHS.documents },
      ] as const;
    /** Every route below is behind the same door: a path that does not exist must not tell more, either. */
    const paths = (path: string) => [path, '/nowhere'];

    it('let a live token of the router in', async () => {
      for (const { url, audience, path } of targets()) {
        const key = await mint({}, audience);
        expect((await call(url, `GET ${path}`, { key })).status).toBe(200);
        expect((await call(url, 'GET /nowhere', { key })).status).toBe(404);
      }
    });

    it('refuse every forged, expired or borrowed token', async () => {
      const stranger = await exportPKCS8((await generateKeyPair('EdDSA', { extractable: true })).privateKey);
      const forgeries = (other: string): [what: string, forgery: Forgery][] => [
        ['of another key', { key: stranger }],
        ['for the other service', { audience: other }],
        ['that has expired', { issuedAt: now() - 600 }],
        ['that lives a day', { issuedAt: now() - 120, lifetime: 86_400 }],
        ['of another issuer', { issuer: 'somebody' }],
        ['of another type', { header: { typ: 'JWT' } }],
        ['of no valid tenant', { claims: { tenant_id: '../globex' } }],
        ['of no valid user', { claims: { user_id: '' } }],
        ['of no known role', { claims: { role: 'operator' } }],
      ];
      for (const { url, audience, other, path } of targets()) {
        for (const [what, forgery] of forgeries(other)) {
          const key = await mint(forgery, audience);
          for (const one of paths(path)) {
            const answer = await call(url, `GET ${one}`, { key });
            expect(answer.status, `${audience}${one}: a token ${what}`).toBe(401);
            expect(textAt(answer.json, 'error.code')).toBe('invalid_credential');
          }
        }
        const good = await mint({}, audience);
        const [header, payload, signature] = good.split('.');
        const unsigned = Buffer.from(JSON.stringify({ ...HEADER, alg: 'none' })).toString('base64url');
        const claims: unknown = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString());
        const asGlobex = Buffer.from(JSON.stringify({ ...Object(claims), tenant_id: 'globex' })).toString(
          'base64url',
        );
        for (const key of [
          `${unsigned}.${payload}.`,
          `${header}.${asGlobex}.${signature}`,
          `${good}x`,
          good.slice(0, -2),
          'x',
        ]) {
          expect((await call(url, `GET ${path}`, { key })).status).toBe(401);
        }
      }
    });

    it('refuse API keys and tenant headers, which only the router understands', async () => {
      const { keys } = seeded;
      for (const { url, path } of targets()) {
        for (const one of paths(path)) {
          for (const key of [keys.alice, keys.acmeAdmin, keys.operator]) {
            expect((await call(url, `GET ${one}`, { key })).status).toBe(401);
          }
          const headers = { 'x-tenant-id': 'acme', 'x-user-id': 'alice', 'x-bulkhead-tenant-id': 'acme' };
          expect((await call(url, `GET ${one}`, { headers })).status).toBe(401);
        }
      }
    });

    it('tell their readiness without a credential, and nothing else', async () => {
      for (const { url } of targets()) {
        const { json } = await call(url, 'GET /readyz');
        expect(json).toMatchObject({ status: 'ready', checks: { database: 'ok' } });
        const names = Object.keys(Object(at(json, 'checks')));
        expect(names).toEqual(url === services.ragUrl ? ['database'] : ['database', 'engine']);
        expect((await call(url, 'GET /healthz')).json).toEqual({ status: 'ok' });
        expect((await call(url, 'GET /openapi.json')).status).toBe(401);
      }
    });

    it('fail with a 503 that can be retried while the RAG service is away', async () => {
      const { router, rag } = services.children;
      // The last test of this file: nothing starts it again.
      await rag.kill();
      const { keys, platform } = seeded;
      const json = { message: FACTS.alice.question };
      const answer = await call(platform.url, 'POST /v1/chat', { key: keys.alice, json });
      expect(answer.status).toBe(503);
      expect(textAt(answer.json, 'error.code')).toBe('service_unavailable');
      expect(answer.headers['retry-after']).toBe('1');
      // It is reported, and the router stays ready for what does not need it.
      await eventually('the RAG service is missing', async () => {
        const ready = await call(platform.url, 'GET /readyz');
        expect(ready.status).toBe(200);
        return at(ready.json, 'checks.rag') === 'failed' ? true : undefined;
      });
      const hello = { messages: [{ role: 'user', content: 'Hello' }], model: 'bulkhead-chat' };
      expect(
        (await call(platform.url, 'POST /v1/chat/completions', { key: keys.alice, json: hello })).status,
      ).toBe(200);
      expect(router.hasExited()).toBe(false);
    });
  });
});
