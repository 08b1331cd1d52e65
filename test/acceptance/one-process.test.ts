import { afterAll, beforeAll, describe } from 'vitest';
import { type SeededPlatform, seedPlatform } from '../support/seeded-platform.ts';
import { type Bulkhead, startBulkhead } from '../support/start-bulkhead.ts';
import { describeBadInput } from './scenarios/bad-input.ts';
import { describeKeptResponses } from './scenarios/kept-responses.ts';
import { describeNativeApi } from './scenarios/native-api.ts';
import { describeOpenAIClient } from './scenarios/openai-client.ts';
import { describeOpenAIFiles } from './scenarios/openai-files.ts';
import { describeOpenAISurface } from './scenarios/openai-surface.ts';
import { describeWrongTypes } from './scenarios/wrong-types.ts';

describe('bulkhead up, in one process', () => {
  let bulkhead: Bulkhead;
  let seeded: SeededPlatform;
  beforeAll(async () => {
    bulkhead = await startBulkhead();
    seeded = await seedPlatform(bulkhead);
  });
  afterAll(() => bulkhead?.dispose());

  describeOpenAIClient(() => seeded);
  describeOpenAISurface(() => seeded);
  describeKeptResponses(() => seeded);
  describeOpenAIFiles(() => seeded);
  describeNativeApi(() => seeded);
  describeBadInput(() => seeded);
  describeWrongTypes(() => seeded);
});
