import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChildService } from '#test/support/child-service.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import {
  type EngineCall,
  type EngineServer,
  sendError,
  sendStream,
  startEngineServer,
  streamOf,
} from '#test/support/engine-server.ts';
import { call, eventually } from '#test/support/http-client.ts';
import { newOperatorKey } from '#test/support/start-bulkhead.ts';
import { startMoto } from '#test/support/start-moto.ts';
import { startRedis } from '#test/support/start-redis.ts';
import {
  type ServiceName,
  type ServiceProcess,
  startServiceProcess,
} from '#test/support/start-service-process.ts';
import type { StartedServer } from '#test/support/started-server.ts';
import { createTenants, type Keys } from '#test/support/tenants.ts';

const canRun = (process.env.TEST_AWS_URL ?? '') !== '' && POSTGRES_URL !== '';
if (!canRun) console.warn('SKIPPED: no moto or no PostgreSQL; npm run test:integration starts them.');

const REGION = 'eu-central-1';
const ROLE = 'arn:aws:iam::123456789012:role/bulkhead-router';
const GENERAL = 'bulkhead/settings';
const LOGIN = 'bulkhead/database';

describe.skipIf(!canRun)('three services whose settings are in Secrets Manager', () => {
  const planted = (what: string) => `planted-${what}-${randomBytes(12).toString('hex')}`;
  const user = `rotating_${randomBytes(6).toString('hex')}`;
  let password = planted('database');
  let engineKey = planted('engine');
  let operatorKey = newOperatorKey();
  const passwords = new Set([password]);
  const engineKeys = new Set([engineKey]);

  let directory: string;
  let aws: StartedServer;
  let redisServer: StartedServer;
  let secrets: SecretsManagerClient;
  let admin: pg.Client;
  let database: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let engine: EngineServer;
  let common: Record<string, string>;
  let general: Record<string, unknown>;
  let keys: Keys;
  const services = new Map<ServiceName, ServiceProcess>();
  const children: ChildService[] = [];

  const answerWithKey = (request: EngineCall, response: ServerResponse) => {
    if (request.headers.authorization !== `Bearer ${engineKey}`) return sendError(response, 401);
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify({ object: 'list', data: [{ id: 'served', owned_by: 'test' }] }));
    }
    return sendStream(response, streamOf(['Yes', '.']));
  };
  const put = (id: string, value: unknown) =>
    secrets.send(new PutSecretValueCommand({ SecretId: id, SecretString: JSON.stringify(value) }));
  const login = () => {
    const { hostname: host, port } = new URL(database.url);
    return {
      username: user,
      password,
      engine: 'postgres',
      host,
      port: Number(port),
      dbname: new URL(database.url).pathname.slice(1),
    };
  };
  /** As a failover does: every connection of the services is gone, and each new one needs the login as of now. */
  async function cutConnections(): Promise<void> {
    const { hostname, port, pathname } = new URL(database.url);
    const own = new pg.Client({
      connectionString: `postgresql://${user}:${password}@${hostname}:${port}${pathname}`,
    });
    await own.connect();
    await own.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()',
      [user],
    );
    await own.end();
  }
  const log = () => children.map((child) => `${child.stdout()}\n${child.stderr()}`).join('\n');
  const urlOf = (service: ServiceName) => services.get(service)?.url ?? '';

  async function start(service: ServiceName, env: Record<string, string>): Promise<void> {
    const options = { service, cwd: directory, env: { ...common, ...env } };
    services.set(
      service,
      await startServiceProcess({ ...options, onSpawn: (child) => children.push(child) }),
    );
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bulkhead-aws-'));
    aws = await startMoto();
    redisServer = await startRedis();
    const endpoint = aws.env.TEST_AWS_URL ?? '';
    secrets = new SecretsManagerClient({
      region: REGION,
      endpoint,
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    });
    database = await createPostgresDatabase();
    admin = new pg.Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    await admin.query(`CREATE ROLE ${user} LOGIN CREATEROLE PASSWORD '${password}'`);
    const owned = new pg.Client({ connectionString: database.url });
    await owned.connect();
    await owned.query(`GRANT ALL ON DATABASE ${new URL(database.url).pathname.slice(1)} TO ${user}`);
    await owned.end();
    engine = await startEngineServer(answerWithKey);
    const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    general = {
      API_KEY_PEPPER: planted('pepper').padEnd(40, 'x'),
      CACHE_SALT_SECRET: planted('salt').padEnd(40, 'x'),
      INTERNAL_TOKEN_PUBLIC_KEY: publicKey,
      INTERNAL_TOKEN_PRIVATE_KEY: privateKey,
      INFERENCE_BASE_URL: engine.baseUrl,
      INFERENCE_MODEL: 'served',
      INFERENCE_API_KEY: engineKey,
      REDIS_URL: redisServer.env.REDIS_URL,
      OPERATOR_KEY: operatorKey,
    };
    for (const [Name, value] of [
      [GENERAL, general],
      [LOGIN, login()],
    ] as const) {
      await secrets.send(new CreateSecretCommand({ Name, SecretString: JSON.stringify(value) }));
    }
    // As EKS mounts it for a service account with a role; the services have no other credentials.
    const token = join(directory, 'token');
    await writeFile(token, 'a.web.identity');
    common = {
      PORT: '0',
      AWS_REGION: REGION,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ROLE_ARN: ROLE,
      AWS_WEB_IDENTITY_TOKEN_FILE: token,
      AWS_SECRETS_ID: GENERAL,
      DATABASE_SECRET_ID: LOGIN,
      AWS_SECRETS_REFRESH_SECONDS: '3600',
    };
    await start('rag', { BULKHEAD_DATA_DIR: join(directory, 'rag') });
    await start('orchestrator', { RAG_SERVICE_URL: urlOf('rag') });
    await start('router', {
      BULKHEAD_DATA_DIR: join(directory, 'router'),
      ORCHESTRATOR_URL: urlOf('orchestrator'),
      RAG_SERVICE_URL: urlOf('rag'),
    });
    keys = await createTenants({ url: urlOf('router'), operatorKey, log: async () => log() });
  });
  afterAll(async () => {
    for (const child of [...children].reverse()) await child.stop();
    await engine?.close();
    await database?.drop();
    await admin?.query(`DROP ROLE IF EXISTS ${user}`).catch(() => undefined);
    await admin?.end();
    await redisServer?.stop();
    await aws?.stop();
    secrets?.destroy();
    await rm(directory, { recursive: true, force: true });
  });

  const ask = (model: string) =>
    call(urlOf('router'), 'POST /v1/chat/completions', {
      key: keys.alice,
      json: { model, messages: [{ role: 'user', content: 'Is it so?' }] },
    });

  it('start with a web identity alone, exchanged at STS', async () => {
    expect((await ask('served')).status).toBe(200);
    const lines = log()
      .split('\n')
      .filter((line) => line.includes('"secrets_loaded"'));
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      ['rag', 'orchestrator', 'router'].map((service) =>
        expect.objectContaining({
          service,
          secrets: [GENERAL, LOGIN],
          role_arn: ROLE,
          credentials: 'web identity (IRSA)',
        }),
      ),
    );
  });

  it('take a rotated database password and engine key while requests flow, without a failure', async () => {
    let isDone = false;
    const statuses: number[] = [];
    const flow = Array.from({ length: 4 }, async (_, i) => {
      while (!isDone) statuses.push((await ask(i % 2 === 0 ? 'served' : 'bulkhead-chat')).status);
    });
    await delay(500);
    const old = await admin.query(`SELECT pid FROM pg_stat_activity WHERE usename = $1`, [user]);
    // The password first, then the secret: in between, the server refuses what the secret holds.
    [password, engineKey] = [planted('database-2'), planted('engine-2')];
    passwords.add(password);
    engineKeys.add(engineKey);
    await admin.query(`ALTER ROLE ${user} PASSWORD '${password}'`);
    await delay(500);
    await put(LOGIN, login());
    await put(GENERAL, { ...general, INFERENCE_API_KEY: engineKey });
    const router = services.get('router')?.child;
    // Nothing refuses a database login while connections are kept: a new connection is what makes the services look.
    await eventually('the engine’s new key', async () =>
      (await ask('served')).status === 200 ? true : undefined,
    );
    await delay(1_500);
    isDone = true;
    await Promise.all(flow);
    expect(statuses.length).toBeGreaterThan(20);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(router?.hasExited()).toBe(false);
    expect(old.rowCount).toBeGreaterThan(0);
    expect(log()).toContain('"secrets_reloaded"');
  });

  it('replace the connections of the old login, and answer when new ones must be made', async () => {
    const pids = async () => {
      const found = await admin.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE usename = $1 AND application_name = 'bulkhead'`,
        [user],
      );
      return found.rows.map(({ pid }) => pid);
    };
    await cutConnections();
    await eventually('answers over new connections', async () => {
      const answer = await call(urlOf('router'), 'GET /v1/conversations', { key: keys.alice });
      return answer.status === 200 ? true : undefined;
    });
    expect((await pids()).length).toBeGreaterThan(0);
  });

  it('take a new operator key, and end the one before', async () => {
    const before = operatorKey;
    operatorKey = newOperatorKey();
    await put(GENERAL, { ...general, INFERENCE_API_KEY: engineKey, OPERATOR_KEY: operatorKey });
    // The engine's refusal makes the services look at once; here the router has to be asked otherwise.
    const listed = (key: string) => call(urlOf('router'), 'GET /admin/tenants', { key });
    await admin.query(`ALTER ROLE ${user} PASSWORD '${password}x'`);
    password = `${password}x`;
    await cutConnections();
    passwords.add(password);
    await put(LOGIN, login());
    await eventually('the new operator key', async () =>
      (await listed(operatorKey)).status === 200 ? true : undefined,
    );
    await eventually('the end of the old one', async () =>
      (await listed(before)).status === 401 ? true : undefined,
    );
  });

  it('go on with the last good values while the secret is not valid or cannot be had', async () => {
    await put(GENERAL, { ...general, PROT: 'planted-value' });
    engineKey = planted('engine-3');
    // Refused calls make the orchestrator look: what it finds is not valid.
    expect((await ask('served')).status).toBeGreaterThanOrEqual(500);
    await eventually('the line that says so', async () =>
      log().includes('"secrets_not_refreshed"') ? true : undefined,
    );
    engineKey = [...engineKeys].at(-1) ?? '';
    expect((await ask('served')).status).toBe(200);
    await aws.stop();
    expect((await ask('served')).status).toBe(200);
  });

  it('keep every secret out of logs', () => {
    expect(log()).not.toContain('planted-');
    expect(log()).not.toContain(operatorKey);
  });
});

describe.skipIf(!canRun)('a service whose secrets cannot be had', () => {
  let aws: StartedServer;
  let secrets: SecretsManagerClient;
  let directory: string;
  let credentials: Record<string, string>;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bulkhead-aws-'));
    aws = await startMoto();
    const endpoint = aws.env.TEST_AWS_URL ?? '';
    credentials = {
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: REGION,
    };
    secrets = new SecretsManagerClient({
      region: REGION,
      endpoint,
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    });
    for (const [Name, SecretString] of [
      ['valid', '{"PORT": "0"}'],
      ['misspelt', '{"API_KEY_PEPER": "planted-value"}'],
      ['invalid', '{"API_KEY_PEPPER": "planted"}'],
      ['broken', 'planted-value'],
      ['deleted', '{}'],
    ]) {
      await secrets.send(new CreateSecretCommand({ Name, SecretString }));
    }
    await secrets.send(new DeleteSecretCommand({ SecretId: 'deleted', RecoveryWindowInDays: 7 }));
  });
  afterAll(async () => {
    await aws?.stop();
    secrets?.destroy();
    await rm(directory, { recursive: true, force: true });
  });

  /** What it prints, when it has ended with exit code 1. */
  async function failureOf(service: ServiceName, env: Record<string, string>): Promise<string> {
    let spawned: ChildService | undefined;
    await startServiceProcess({ service, cwd: directory, env, onSpawn: (child) => (spawned = child) }).catch(
      () => {},
    );
    expect(await spawned?.exited).toBe(1);
    return spawned?.stderr().trim() ?? '';
  }

  it.each([
    ['router', 'missing', /^AWS_SECRETS_ID: the secret "missing" does not exist in eu-central-1$/],
    [
      'orchestrator',
      'misspelt',
      /^AWS_SECRETS_ID: the member "API_KEY_PEPER" of the secret "misspelt" is not a setting$/,
    ],
    ['rag', 'invalid', /API_KEY_PEPPER \(in the secret "invalid"\): /],
    ['router', 'broken', /^AWS_SECRETS_ID: the secret "broken" is not JSON$/],
    ['router', 'deleted', /^AWS_SECRETS_ID: the secret "deleted" cannot be read in its present state/],
  ] as const)('%s: %s stops the start with one line', async (service, id, line) => {
    const failure = await failureOf(service, { ...credentials, AWS_SECRETS_ID: id });
    expect(failure).toMatch(line);
    expect(failure).not.toContain('planted');
  });

  it('says when there are no credentials, and when Secrets Manager is not there', async () => {
    const { AWS_ENDPOINT_URL: endpoint = '' } = credentials;
    const none = {
      AWS_REGION: REGION,
      AWS_ENDPOINT_URL: endpoint,
      AWS_EC2_METADATA_DISABLED: 'true',
      HOME: directory,
    };
    expect(await failureOf('router', { ...none, AWS_SECRETS_ID: 'valid' })).toMatch(
      /no AWS credentials were found/,
    );
    const nowhere = { ...credentials, AWS_ENDPOINT_URL: 'http://127.0.0.1:9' };
    expect(await failureOf('router', { ...nowhere, AWS_SECRETS_ID: 'valid' })).toMatch(
      /^AWS_SECRETS_ID: the secret "valid" cannot be read: Secrets Manager in eu-central-1 is unavailable \(ECONNREFUSED\)$/,
    );
  });
});
