import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChildService } from './child-service.ts';
import { newOperatorKey, type Platform } from './start-bulkhead.ts';
import { type ServiceName, startServiceProcess } from './start-service-process.ts';

export type ThreeServices = Platform &
  Readonly<{
    orchestratorUrl: string;
    ragUrl: string;
    /** Signs internal tokens, PKCS #8 PEM: the router has it, and the tests that forge. */
    privateKey: string;
    children: Readonly<{ router: ChildService; orchestrator: ChildService; rag: ChildService }>;
    /** Starts one more router beside the first; resolves with its URL. */
    addRouter(): Promise<string>;
    dispose(): Promise<void>;
  }>;

/** Router, orchestrator and RAG service, a process each, over one PostgreSQL: the shape of production. */
export async function startThreeServices(options: {
  databaseUrl: string;
  env?: Readonly<Record<string, string>>;
}): Promise<ThreeServices> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'bulkhead-three-'));
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const operatorKey = newOperatorKey();
  const shared = {
    DATABASE_URL: options.databaseUrl,
    PORT: '0',
    // No balancer is in front that would have to notice.
    DRAIN_DELAY_MS: '0',
    BULKHEAD_DATA_DIR: dataDirectory,
    ...options.env,
  };
  const children: ChildService[] = [];
  const dispose = async () => {
    // The router first: it must not find the others gone.
    for (const child of [...children].reverse()) await child.stop();
    await rm(dataDirectory, { recursive: true, force: true });
  };
  try {
    const start = (service: ServiceName, env: Readonly<Record<string, string>>) =>
      startServiceProcess({
        service,
        cwd: dataDirectory,
        env: { ...shared, ...env },
        onSpawn: (child) => children.push(child),
      });
    // Each gets what it needs and no more: only the router can mint tokens and knows the pepper.
    const rag = await start('rag', { INTERNAL_TOKEN_PUBLIC_KEY: publicKey });
    const orchestrator = await start('orchestrator', {
      INTERNAL_TOKEN_PUBLIC_KEY: publicKey,
      RAG_SERVICE_URL: rag.url,
      CACHE_SALT_SECRET: randomBytes(32).toString('hex'),
    });
    const routerEnvironment = {
      INTERNAL_TOKEN_PRIVATE_KEY: privateKey,
      API_KEY_PEPPER: randomBytes(32).toString('hex'),
      OPERATOR_KEY: operatorKey,
      ORCHESTRATOR_URL: orchestrator.url,
      RAG_SERVICE_URL: rag.url,
    };
    const router = await start('router', routerEnvironment);
    return {
      url: router.url,
      operatorKey,
      orchestratorUrl: orchestrator.url,
      ragUrl: rag.url,
      privateKey,
      addRouter: async () => (await start('router', routerEnvironment)).url,
      children: { router: router.child, orchestrator: orchestrator.child, rag: rag.child },
      log: async () => children.map((child) => `${child.stdout()}\n${child.stderr()}`).join('\n'),
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
