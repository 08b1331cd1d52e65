import { afterAll, beforeAll, describe } from 'vitest';
import {
  describeEngineAttempts,
  type Replicas,
  startReplicas,
} from '#test/acceptance/scenarios/engine-attempts.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { startThreeServices, type ThreeServices } from '#test/support/start-three-services.ts';
import { createTenants, type Keys } from '#test/support/tenants.ts';

if (POSTGRES_URL === '') {
  console.warn('SKIPPED: no PostgreSQL (TEST_POSTGRES_URL); npm run test:integration starts one.');
}

describe.skipIf(POSTGRES_URL === '')('an orchestrator of its own, and an engine that fails', () => {
  let replicas: Replicas;
  let services: ThreeServices;
  let keys: Keys;
  let drop: () => Promise<void>;
  beforeAll(async () => {
    const database = await createPostgresDatabase();
    drop = database.drop;
    replicas = await startReplicas();
    services = await startThreeServices({ databaseUrl: database.url, env: replicas.env });
    keys = await createTenants(services);
  });
  afterAll(async () => {
    await services?.dispose();
    await replicas?.server.close();
    await drop?.();
  });

  describeEngineAttempts(() => ({ platform: services, keys, replicas }));
});
