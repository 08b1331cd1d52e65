import { afterAll, beforeAll, describe } from 'vitest';
import { type SeededPlatform, seedPlatform } from '../support/seeded-platform.ts';
import { type Bulkhead, startBulkhead } from '../support/start-bulkhead.ts';
import { describeCanary } from './scenarios/canary.ts';
import { describeForeignIds } from './scenarios/foreign-ids.ts';

describe('isolation, in one process', () => {
  let bulkhead: Bulkhead;
  let seeded: SeededPlatform;
  beforeAll(async () => {
    bulkhead = await startBulkhead();
    seeded = await seedPlatform(bulkhead);
  });
  afterAll(() => bulkhead?.dispose());

  describeForeignIds(() => seeded);
  describeCanary(() => seeded);
});
