import { expect, it } from 'vitest';
import { loadSettings } from '#app/settings/load-settings.ts';
import { createInferenceEngine } from '#inference/create-inference-engine.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import { VLLMClient } from '#inference/vllm-client.ts';
import { silentLogger } from '#observability/logger.ts';

const fallback: InferenceEngine = {
  name: 'extractive',
  defaultModel: 'x',
  async *generate() {},
  listModels: async () => [],
  checkReady: async () => {},
};
const create = (environment: Record<string, string>) =>
  createInferenceEngine({
    settings: loadSettings(environment),
    logger: silentLogger,
    createFallback: () => fallback,
  });
const SERVER = { INFERENCE_BASE_URL: 'http://127.0.0.1:1/v1', INFERENCE_MODEL: 'm' };

it('is the fallback without a server', async () => {
  expect((await create({})).engine).toBe(fallback);
});

it('is the server that is named, with its context', async () => {
  const { engine, close } = await create({
    ...SERVER,
    INFERENCE_CONTEXT_TOKENS: '2048',
    CACHE_SALT_SECRET: 's'.repeat(32),
  });
  expect(engine).toBeInstanceOf(VLLMClient);
  expect(engine).toMatchObject({ defaultModel: 'm', contextTokens: 2_048 });
  await close();
});

it('does not run with a cache that tenants would share unless told to', async () => {
  await expect(create(SERVER)).rejects.toThrow(/CACHE_SALT_SECRET/);
  await (await create({ ...SERVER, INFERENCE_CACHE_SALT: 'off' })).close();
});
