import { Pool } from 'undici';
import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FairSemaphore, type FairSemaphoreStats, type Release } from '#app/fair/fair-semaphore.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { SkippedEntries } from '#app/parse-entries.ts';
import type { EngineModel } from '#app/services/orchestrator-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { inSpan } from '#app/trace.ts';
import { cacheSaltOf } from '#inference/cache-salt.ts';
import type { ChunkBatch, GenerateRequest, InferenceEngine } from '#inference/inference-engine.ts';
import { openLazily } from '#inference/open-lazily.ts';
import {
  authorizationOf,
  createKeyedAttempts,
  type EngineCredential,
  fixedCredential,
} from '#inference/openai/engine-credential.ts';
import { messagesForEngine } from '#inference/openai/engine-messages.ts';
import { allowedParameters } from '#inference/openai/engine-parameters.ts';
import { createModelList, type ModelList } from '#inference/openai/model-list.ts';
import { openChatStream } from '#inference/openai/open-chat-stream.ts';
import { createServedModels } from '#inference/openai/served-models.ts';
import { AttemptFailure, type RetryOptions, retry } from '#inference/retry.ts';

export type VLLMClientOptions = Readonly<{
  /** Up to and with the server's `/v1`. */
  baseUrl: string;
  defaultModel: string;
  /** Tokens of prompt and answer together that the default model takes. */
  contextTokens?: number;
  /** The bearer token, asked for at each call; see {@link EngineCredential}. */
  credential?: EngineCredential;
  /** Sends `cache_salt`, derived from this and the tenant; null for servers that refuse unknown fields. */
  cacheSaltSecret: string | null;
  connectTimeoutMs?: number;
  /** From sending a request to its first chunk, milliseconds. */
  firstTokenTimeoutMs?: number;
  /** Between two chunks, milliseconds. */
  idleTimeoutMs?: number;
  /** Tries of a call, all before its first token. */
  maxAttempts?: number;
  /** Streams at once: each has a connection of its own. */
  connections?: number;
  /** Longest answer that is taken: see MAX_ANSWER_BYTES. */
  maxAnswerCharacters?: number;
  /** How long a list of models is good for, milliseconds. */
  modelsFreshMs?: number;
  retry?: Omit<RetryOptions, 'maxAttempts' | 'onRetry'>;
  onRetry?: (failure: BulkheadError, fields: { attempt: number; delayMs: number; requestId: string }) => void;
  onSkippedModels?: (skipped: SkippedEntries) => void;
  now?: () => number;
  monotonicNow?: () => number;
}>;

const FIRST_TOKEN_TIMEOUT_MS = 120_000;
/** Lists are shared by all who ask at the same time. */
const LIST_CONNECTIONS = 2;
const MIN_WAITING = 1_024;

/**
 * An engine behind the OpenAI API: vLLM, llama.cpp, Ollama, TGI's `/v1` and others. Every call streams, whatever
 * the client asked for, so that it can be cancelled and timed. A call is tried again only while nothing of its
 * answer was passed on.
 */
export class VLLMClient implements InferenceEngine {
  readonly name = 'openai-compatible';
  readonly defaultModel: string;
  readonly contextTokens: number;
  readonly #options: VLLMClientOptions;
  readonly #pool: Pool;
  readonly #places: FairSemaphore;
  /** Of their own: a list of models, and with it readiness, must not wait behind answers. */
  readonly #listPool: Pool;
  readonly #prefix: string;
  readonly #credential: EngineCredential;
  readonly #withKey: ReturnType<typeof createKeyedAttempts>;
  readonly #models: ModelList;
  readonly #served: ReturnType<typeof createServedModels>;

  constructor(options: VLLMClientOptions) {
    const { connectTimeoutMs = 5_000, connections = 1_024, modelsFreshMs = 15_000 } = options;
    const { origin, pathname } = new URL(options.baseUrl);
    this.#options = options;
    this.#prefix = pathname.replace(/\/+$/, '');
    this.defaultModel = options.defaultModel;
    this.contextTokens = options.contextTokens ?? 8_192;
    this.#credential = options.credential ?? fixedCredential(undefined);
    // Sockets have TCP_NODELAY from undici. HTTP/1.1, one call a connection: closing it is how a call is cancelled.
    const open = (limit: number) =>
      withErrorListener(
        new Pool(origin, {
          connections: limit,
          pipelining: 1,
          allowH2: false,
          connect: { timeout: connectTimeoutMs },
        }),
      );
    this.#pool = open(connections);
    this.#listPool = open(LIST_CONNECTIONS);
    this.#places = new FairSemaphore({
      resource: 'answers of the inference engine',
      capacity: connections,
      maxWaiting: Math.max(connections, MIN_WAITING),
      // Waiting for the engine here or inside it is the same to a client.
      maxWaitMs: options.firstTokenTimeoutMs ?? FIRST_TOKEN_TIMEOUT_MS,
    });
    const monotonicNow = options.monotonicNow ?? (() => performance.now());
    this.#withKey = createKeyedAttempts(this.#credential, monotonicNow);
    this.#models = createModelList({
      pool: this.#listPool,
      path: `${this.#prefix}/models`,
      headers: () => authorizationOf(this.#credential),
      timeoutMs: connectTimeoutMs + 5_000,
      freshMs: modelsFreshMs,
      monotonicNow,
      ...(options.onSkippedModels === undefined ? {} : { onSkipped: options.onSkippedModels }),
    });
    this.#served = createServedModels({
      models: this.#models,
      defaultModel: options.defaultModel,
      pauseMs: modelsFreshMs,
      monotonicNow,
    });
  }

  generate(
    context: TenantContext,
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncIterableIterator<ChunkBatch> {
    return openLazily(() => {
      const checked = this.#served.check(request.model, signal);
      if (checked === null) return this.#open(context, request, signal);
      return checked.then(() => this.#open(context, request, signal));
    });
  }

  #open(context: TenantContext, request: GenerateRequest, signal: AbortSignal) {
    const {
      firstTokenTimeoutMs = FIRST_TOKEN_TIMEOUT_MS,
      idleTimeoutMs = 60_000,
      maxAttempts = 3,
      maxAnswerCharacters,
    } = this.#options;
    const { sampling, engineParameters, answerLimit } = request;
    const limit = sampling.max_tokens ?? answerLimit;
    const choices = typeof engineParameters.n === 'number' ? engineParameters.n : 1;
    const parameters = this.#bodyOf(context, request);
    let body = JSON.stringify({ ...parameters, max_tokens: limit });
    let asked = 0;
    const open = () => {
      asked += 1;
      request.onAttempt?.(asked);
      return openChatStream(
        {
          pool: this.#pool,
          path: `${this.#prefix}/chat/completions`,
          headers: {
            ...authorizationOf(this.#credential),
            'x-request-id': context.requestId,
            ...(request.span === undefined ? {} : context.trace.headers(request.span)),
          },
          admit: () => this.#admit(context, request, signal),
          body,
          model: request.model,
          firstTokenTimeoutMs,
          idleTimeoutMs,
          hidesCache: !this.#keepsCachesApart(),
          maxTokens: limit === undefined ? null : limit * choices,
          ...(maxAnswerCharacters === undefined ? {} : { maxCharacters: maxAnswerCharacters }),
          now: this.#options.now ?? Date.now,
        },
        signal,
      );
    };
    let isLimitOurs = sampling.max_tokens === undefined && answerLimit !== undefined;
    const attempt = async () => {
      try {
        return await open();
      } catch (error) {
        // The prompt leaves less room in the context than the limit that we put in: then the engine's own end comes sooner.
        if (!isLimitOurs || !(error instanceof AttemptFailure)) throw error;
        if (error.failure.code !== 'context_length_exceeded') throw error;
        isLimitOurs = false;
        body = JSON.stringify(parameters);
        return open();
      }
    };
    return retry(
      () => this.#withKey(attempt, signal),
      {
        ...this.#options.retry,
        maxAttempts,
        onRetry: (failure, tries, delayMs) =>
          this.#options.onRetry?.(failure, { attempt: tries, delayMs, requestId: context.requestId }),
      },
      signal,
    );
  }

  /** Waits for a place among the engine's connections; the wait is a span of its own. */
  #admit(context: TenantContext, { span }: GenerateRequest, signal: AbortSignal): Promise<Release> {
    const acquire = () => this.#places.acquire(context.tenantId, signal);
    return span === undefined ? acquire() : inSpan(context.trace, 'queue wait', acquire, { parent: span });
  }

  /** By `cache_salt`, which other servers take no notice of. vLLM is who says so in its list of models. */
  #keepsCachesApart(): boolean {
    const isVllm = this.#models.last.some(({ owned_by }) => owned_by === 'vllm');
    return isVllm && this.#options.cacheSaltSecret !== null;
  }

  listModels(signal: AbortSignal): Promise<readonly EngineModel[]> {
    return this.#models.read(signal);
  }

  async checkReady(signal: AbortSignal): Promise<void> {
    await this.#models.refresh(signal);
  }

  /** Calls under way and waiting for a connection. */
  get stats(): FairSemaphoreStats {
    return this.#places.stats;
  }

  /** Ends every call under way. */
  async close(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#listPool.destroy()]);
  }

  /** What we decide comes last: nothing that a client sent can name another model or another tenant's cache. */
  #bodyOf(context: TenantContext, { model, messages, sampling, engineParameters }: GenerateRequest) {
    const { temperature, top_p, max_tokens, stop, seed } = sampling;
    const { cacheSaltSecret } = this.#options;
    return {
      ...allowedParameters(engineParameters),
      temperature,
      top_p,
      max_tokens,
      stop,
      seed,
      model,
      messages: messagesForEngine(messages),
      stream: true,
      // What a stream has used is then known also where it is cut off.
      stream_options: {
        include_usage: true,
        ...(cacheSaltSecret === null ? {} : { continuous_usage_stats: true }),
      },
      ...(cacheSaltSecret === null ? {} : { cache_salt: cacheSaltOf(cacheSaltSecret, context.tenantId) }),
    };
  }
}
