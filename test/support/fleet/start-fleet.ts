import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newOperatorKey, type Platform } from '../start-bulkhead.ts';
import { startHttpFront } from './http-front.ts';
import { type PacedEngine, startPacedEngine } from './paced-engine.ts';
import { FAST_POLLS, type PollOptions } from './polled-backends.ts';
import { ServiceGroup } from './service-group.ts';
import { startTcpFront } from './tcp-front.ts';

export type FleetOptions = Readonly<{
  databaseUrl: string;
  redisUrl: string;
  routers?: number;
  orchestrators?: number;
  /** Before the routers: by request, over kept or over new connections, or by connection. The services have the last. */
  front?: 'http keep-alive' | 'http fresh' | 'tcp';
  polls?: PollOptions;
  env?: Readonly<Record<string, string>>;
}>;

export type Fleet = Platform &
  Readonly<{
    engine: PacedEngine;
    routers: ServiceGroup;
    orchestrators: ServiceGroup;
    rags: ServiceGroup;
    dataDirectory: string;
    /** Processes that ended although no one asked them to. */
    unexpectedExits(): Promise<string[]>;
    dispose(): Promise<void>;
  }>;

/** Router and orchestrator twice and the RAG service once, processes behind fronts that poll their readiness. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { front = 'tcp', polls = FAST_POLLS } = options;
  const dataDirectory = await mkdtemp(join(tmpdir(), 'bulkhead-fleet-'));
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const operatorKey = newOperatorKey();
  const engine = await startPacedEngine();
  const shared = {
    DATABASE_URL: options.databaseUrl,
    PORT: '0',
    BULKHEAD_DATA_DIR: dataDirectory,
    DRAIN_DELAY_MS: '3000',
    ...options.env,
  };
  const rags = new ServiceGroup(await startTcpFront(polls), {
    service: 'rag',
    cwd: dataDirectory,
    // There is only one: it has no other that could serve meanwhile.
    env: { ...shared, DRAIN_DELAY_MS: '1000', INTERNAL_TOKEN_PUBLIC_KEY: publicKey },
  });
  const orchestrators = new ServiceGroup(await startTcpFront(polls), {
    service: 'orchestrator',
    cwd: dataDirectory,
    env: {
      ...shared,
      INTERNAL_TOKEN_PUBLIC_KEY: publicKey,
      RAG_SERVICE_URL: rags.front.url,
      CACHE_SALT_SECRET: randomBytes(32).toString('hex'),
      INFERENCE_BASE_URL: engine.baseUrl,
      INFERENCE_MODEL: 'served',
    },
  });
  const routers = new ServiceGroup(
    front === 'tcp'
      ? await startTcpFront(polls)
      : await startHttpFront(polls, front === 'http fresh' ? 'fresh' : 'keep-alive'),
    {
      service: 'router',
      cwd: dataDirectory,
      env: {
        ...shared,
        REDIS_URL: options.redisUrl,
        INTERNAL_TOKEN_PRIVATE_KEY: privateKey,
        API_KEY_PEPPER: randomBytes(32).toString('hex'),
        OPERATOR_KEY: operatorKey,
        ORCHESTRATOR_URL: orchestrators.front.url,
        RAG_SERVICE_URL: rags.front.url,
      },
    },
  );
  // The routers first: they must not find the others gone.
  const groups = [routers, orchestrators, rags];
  const dispose = async () => {
    for (const group of groups) await group.dispose();
    await engine.close();
    await rm(dataDirectory, { recursive: true, force: true });
  };
  try {
    await rags.add();
    const addTo = (group: ServiceGroup, count = 2) =>
      Promise.all(Array.from({ length: count }, () => group.add()));
    await Promise.all([addTo(orchestrators, options.orchestrators), addTo(routers, options.routers)]);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    url: routers.front.url,
    operatorKey,
    engine,
    routers,
    orchestrators,
    rags,
    dataDirectory,
    log: async () =>
      groups
        .flatMap(({ children }) => children.map((child) => `${child.stdout()}\n${child.stderr()}`))
        .join('\n'),
    unexpectedExits: async () => (await Promise.all(groups.map((group) => group.unexpectedExits()))).flat(),
    dispose,
  };
}
