import { afterAll, beforeAll, describe } from 'vitest';
import { type SeededPlatform, seedPlatform } from '../support/seeded-platform.ts';
import { type Bulkhead, startBulkhead } from '../support/start-bulkhead.ts';
import { describeAnswers } from './scenarios/answers.ts';
import { describeCollections } from './scenarios/collections.ts';

describe('isolation of answers, in one process', () => {
  let bulkhead: Bulkhead;
  let seeded: SeededPlatform;
  beforeAll(async () => {
    bulkhead = await startBulkhead();
    seeded = await seedPlatform(bulkhead);
  });
  afterAll(() => bulkhead?.dispose());

  describeAnswers(() => seeded);
  describeCollections(() => seeded);
});
