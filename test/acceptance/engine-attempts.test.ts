import { afterAll, beforeAll, describe } from 'vitest';
import { type Bulkhead, startBulkhead } from '../support/start-bulkhead.ts';
import { createTenants, type Keys } from '../support/tenants.ts';
import { describeEngineAttempts, type Replicas, startReplicas } from './scenarios/engine-attempts.ts';

describe('one process, and an engine that fails', () => {
  let replicas: Replicas;
  let bulkhead: Bulkhead;
  let keys: Keys;
  beforeAll(async () => {
    replicas = await startReplicas();
    bulkhead = await startBulkhead({ env: replicas.env });
    keys = await createTenants(bulkhead);
  });
  afterAll(async () => {
    await bulkhead?.dispose();
    await replicas?.server.close();
  });

  describeEngineAttempts(() => ({ platform: bulkhead, keys, replicas }));
});
