import { afterAll, beforeAll, describe } from 'vitest';
import { type SeededPlatform, seedPlatform } from '../support/seeded-platform.ts';
import { type Bulkhead, startBulkhead } from '../support/start-bulkhead.ts';
import { describeAnswers } from './scenarios/answers.ts';
import { describeCanary } from './scenarios/canary.ts';
import { describeCollections } from './scenarios/collections.ts';
import { describeForeignIds } from './scenarios/foreign-ids.ts';

describe('isolation, in one process', () => {
  let bulkhead: Bulkhead;
  let seeded: SeededPlatform;
  beforeAll(async () => {
    bulkhead = await startBulkhead();
    seeded = await seedPlatform(bulkhead);
  });
  afterAll(() => bulkhead?.dispose());

  describeAnswers(() => seeded);
  describeForeignIds(() => seeded);
  describeCanary(() => seeded);
  describeCollections(() => seeded);
});
