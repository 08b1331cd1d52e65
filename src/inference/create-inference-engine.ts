import type { FairSemaphoreStats } from '#app/fair/fair-semaphore.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import { type EngineCredential, fixedCredential } from '#inference/openai/engine-credential.ts';
import { tracedEngine } from '#inference/traced-engine.ts';
import { VLLMClient } from '#inference/vllm-client.ts';
import type { Logger } from '#observability/logger.ts';

export type EngineSettings = Pick<
  Settings,
  | 'INFERENCE_BASE_URL'
  | 'INFERENCE_MODEL'
  | 'INFERENCE_API_KEY'
  | 'INFERENCE_CONTEXT_TOKENS'
  | 'INFERENCE_CACHE_SALT'
  | 'INFERENCE_CONNECTIONS'
  | 'INFERENCE_CONNECT_TIMEOUT_MS'
  | 'INFERENCE_FIRST_TOKEN_TIMEOUT_MS'
  | 'INFERENCE_IDLE_TIMEOUT_MS'
  | 'INFERENCE_MAX_ATTEMPTS'
  | 'CACHE_SALT_SECRET'
> &
  // Absent: no bound.
  Partial<Pick<Settings, 'MAX_ANSWER_BYTES'>>;

/** `gen_ai.provider.name` of servers that speak OpenAI's protocol, whatever their model is. */
const ENGINE_PROVIDER = 'openai';

/** An engine, and what ends its calls and connections. */
export type OpenEngine = Readonly<{
  engine: InferenceEngine;
  /** Answers under way and waiting. Absent where nothing bounds them. */
  places?: () => FairSemaphoreStats;
  close(): Promise<void>;
}>;

/**
 * The engine that the settings name: the server at INFERENCE_BASE_URL, or what `createFallback` makes where there
 * is none. Throws SettingsError where prompts would share a cache across tenants.
 */
export async function createInferenceEngine(options: {
  settings: EngineSettings;
  /** The server's key; default: INFERENCE_API_KEY as the process started. */
  credential?: EngineCredential;
  logger: Logger;
  createFallback: () => InferenceEngine | Promise<InferenceEngine>;
  /** Whether calls get spans; default: no. */
  isTraced?: boolean;
}): Promise<OpenEngine> {
  const {
    settings,
    logger,
    createFallback,
    credential = fixedCredential(settings.INFERENCE_API_KEY),
  } = options;
  const { INFERENCE_BASE_URL: baseUrl, INFERENCE_MODEL: defaultModel } = settings;
  const traced = (engine: InferenceEngine, provider: string) =>
    options.isTraced === true ? tracedEngine(engine, provider) : engine;
  if (baseUrl === undefined) {
    return { engine: traced(await createFallback(), 'bulkhead'), close: async () => {} };
  }
  if (defaultModel === undefined) {
    throw new SettingsError('INFERENCE_MODEL: is needed with INFERENCE_BASE_URL');
  }
  if (settings.INFERENCE_CACHE_SALT && settings.CACHE_SALT_SECRET === undefined) {
    throw new SettingsError('CACHE_SALT_SECRET: is needed unless INFERENCE_CACHE_SALT is off');
  }
  const engine = new VLLMClient({
    baseUrl,
    defaultModel,
    contextTokens: settings.INFERENCE_CONTEXT_TOKENS,
    credential,
    cacheSaltSecret: settings.INFERENCE_CACHE_SALT ? (settings.CACHE_SALT_SECRET ?? null) : null,
    connections: settings.INFERENCE_CONNECTIONS,
    connectTimeoutMs: settings.INFERENCE_CONNECT_TIMEOUT_MS,
    firstTokenTimeoutMs: settings.INFERENCE_FIRST_TOKEN_TIMEOUT_MS,
    idleTimeoutMs: settings.INFERENCE_IDLE_TIMEOUT_MS,
    maxAttempts: settings.INFERENCE_MAX_ATTEMPTS,
    ...(settings.MAX_ANSWER_BYTES === undefined ? {} : { maxAnswerCharacters: settings.MAX_ANSWER_BYTES }),
    onRetry: (failure, { attempt, delayMs, requestId }) =>
      logger.warn(
        { err: failure, request_id: requestId, attempt, delay_ms: Math.round(delayMs) },
        'the inference engine failed before its first token; trying again',
      ),
    onSkippedModels: ({ first, ...counts }) =>
      logger.warn(
        { event: 'entries_skipped', list: 'models', ...counts, err: first },
        'the inference engine lists entries that name no model; they are left out',
      ),
  });
  return { engine: traced(engine, ENGINE_PROVIDER), places: () => engine.stats, close: () => engine.close() };
}
