import type { TenantContext } from '#app/tenant-context.ts';
import type { ChunkBatch, GenerateRequest, InferenceEngine } from '#inference/inference-engine.ts';

/**
 * A call of an engine that is under way, and each try of it while nothing is answered yet: a client may leave before
 * anything is. A class, because every turn makes one: a literal with getters cost three microseconds more a turn, and a
 * generator of tries six.
 */
export class EngineCall implements AsyncIterableIterator<ChunkBatch> {
  /** How often the engine was asked until now. */
  attempts = 0;
  /** There are first chunks, or a failure: there will be no more tries. */
  isAnswered = false;
  readonly #stream: AsyncIterator<ChunkBatch>;
  readonly #opening: Promise<IteratorResult<ChunkBatch>>;
  #isOpeningRead = false;
  #wake = () => {};

  /** Asks at once. */
  constructor(options: {
    engine: InferenceEngine;
    tenant: TenantContext;
    request: GenerateRequest;
    signal: AbortSignal;
  }) {
    const { engine, tenant, request, signal } = options;
    const onAttempt = (attempt: number) => {
      this.attempts = attempt;
      this.#wake();
    };
    this.#stream = engine.generate(tenant, { ...request, onAttempt }, signal)[Symbol.asyncIterator]();
    this.#opening = this.#stream.next();
    const settle = () => {
      this.isAnswered = true;
      this.#wake();
    };
    this.#opening.then(settle, settle);
  }

  /** Waits until `attempts` or `isAnswered` changes. */
  news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  next(): Promise<IteratorResult<ChunkBatch>> {
    if (this.#isOpeningRead) return this.#stream.next();
    this.#isOpeningRead = true;
    return this.#opening;
  }

  /** Ends the call. What is being opened is closed once it is open: whoever leaves does not wait for that. */
  async return(): Promise<IteratorResult<ChunkBatch>> {
    const closing = this.#stream.return?.();
    if (this.isAnswered) await closing;
    else closing?.catch(() => undefined);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
