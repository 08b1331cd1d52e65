import type { Dispatcher } from 'undici';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ChunkBatch } from '#inference/inference-engine.ts';
import type { ChatChunkReader } from '#inference/openai/chat-chunk-reader.ts';
import { connectionFailure } from '#inference/openai/engine-failure.ts';
import { AttemptFailure } from '#inference/retry.ts';

type Result = IteratorResult<ChunkBatch, undefined>;
type Headers = Dispatcher.ResponseData['headers'];

export type ChatStreamOptions = Readonly<{
  reader: ChatChunkReader;
  /** The caller's: when it fires, the call ends with its reason. */
  signal: AbortSignal;
  /** From sending to the first chunk, and between chunks while one is waited for: comments of a proxy do not count. Milliseconds. */
  firstTokenTimeoutMs: number;
  idleTimeoutMs: number;
  /** Called once, when the call has left its connection: the answer is read to its end, or the connection is closed. */
  onClosed: () => void;
  /** What an answer other than 200 means, from its bounded text. */
  refusalOf: (status: number, headers: Headers, text: string) => AttemptFailure;
}>;

/** An error's body is short; a proxy's error page may not be. */
const MAX_ERROR_BYTES = 65_536;
/** What may wait for a slow reader before the engine is held up. */
const MAX_WAITING_BYTES = 65_536;
/** How long and how much to read on after the last event, so that the connection can be used again. */
const DRAIN_MS = 1_000;
const DRAIN_BYTES = 65_536;

const LEFT = new DOMException('The reader left.', 'AbortError');

/**
 * The chunks of one call, read as its packets come: undici hands them over here, with no stream of Node's in between, which
 * would cost more than reading them does. Made before the call is sent: see `openChatStream`.
 *
 * `opened` settles with the first chunk; until then every failure of the engine is an AttemptFailure. After it `next()` throws
 * BulkheadErrors, once what came before is given out. An abort throws the signal's reason at once. Leaving early, or aborting,
 * closes the connection; after a whole answer it is kept for the next call. Read by one reader, a batch at a time: all that came
 * since the last one.
 */
export class ChatStream implements Dispatcher.DispatchHandler, AsyncIterableIterator<ChunkBatch, undefined> {
  readonly opened: Promise<this>;
  readonly #options: ChatStreamOptions;
  readonly #opening = Promise.withResolvers<this>();
  readonly #onAbort = () => this.#fail(this.#options.signal.reason, true);
  #isOpened = false;
  #controller: Dispatcher.DispatchController | undefined;
  #refused: { status: number; headers: Headers; bytes: Uint8Array[]; size: number } | undefined;
  #answerHadBegun = false;
  /** Chunks that came and were not asked for yet. */
  #chunks: ChunkBatch = [];
  #waitingBytes = 0;
  #reader: PromiseWithResolvers<Result> | undefined;
  #failure: { error: unknown } | undefined;
  /** Nothing more is taken in: it failed, or the reader left. */
  #isOver = false;
  #drained = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ChatStreamOptions) {
    this.#options = options;
    this.opened = this.#opening.promise;
    const { signal, firstTokenTimeoutMs } = options;
    if (signal.aborted) this.#onAbort();
    else {
      signal.addEventListener('abort', this.#onAbort, { once: true });
      this.#arm(firstTokenTimeoutMs, `The inference engine sent no token within ${firstTokenTimeoutMs} ms.`);
    }
  }

  /** Whether it has ended before it was sent. */
  get isOver(): boolean {
    return this.#isOver;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(LEFT);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status < 200 || this.#isOver) return;
    this.#answerHadBegun = true;
    if (status !== 200) {
      this.#refused = { status, headers, bytes: [], size: 0 };
      return;
    }
    const type = headers['content-type'];
    if (type === undefined || (typeof type === 'string' && /^text\/event-stream\b/i.test(type))) return;
    const error = new BulkheadError('engine_error', 'The inference engine does not stream its answers.', {
      cause: new Error(`content-type: ${String(type)}`),
    });
    this.#fail(new AttemptFailure(error, false));
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Uint8Array): void {
    if (this.#options.reader.isEnded) {
      this.#drained += bytes.byteLength;
      if (this.#drained > DRAIN_BYTES) controller.abort(LEFT);
    } else if (this.#isOver) return;
    else if (this.#refused !== undefined) {
      this.#refused.bytes.push(bytes);
      this.#refused.size += bytes.byteLength;
      if (this.#refused.size > MAX_ERROR_BYTES) this.#refuse(this.#refused);
    } else {
      this.#take(bytes);
      this.#waitingBytes += bytes.byteLength;
      if (this.#waitingBytes > MAX_WAITING_BYTES && this.#chunks.length > 0) controller.pause();
    }
  }

  onResponseEnd(): void {
    this.#options.onClosed();
    if (this.#options.reader.isEnded) clearTimeout(this.#timer);
    else if (this.#refused !== undefined) this.#refuse(this.#refused);
    else if (!this.#isOver) this.#take(null);
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#options.onClosed();
    // What fails after the last chunk concerns nobody.
    if (this.#options.reader.isEnded) clearTimeout(this.#timer);
    else this.#fail(connectionFailure(error, this.#answerHadBegun));
  }

  next(): Promise<Result> {
    if (this.#chunks.length > 0) return Promise.resolve({ done: false, value: this.#handOver() });
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#isOver || this.#options.reader.isEnded) {
      this.#letGoOfSignal();
      return Promise.resolve({ done: true, value: undefined });
    }
    const { idleTimeoutMs } = this.#options;
    this.#arm(idleTimeoutMs, `The inference engine sent nothing for ${idleTimeoutMs} ms.`);
    this.#reader = Promise.withResolvers<Result>();
    return this.#reader.promise;
  }

  return(): Promise<Result> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(bytes: Uint8Array | null): void {
    const { reader } = this.#options;
    try {
      const chunks = reader.feed(bytes);
      if (reader.isCut) this.#controller?.abort(LEFT);
      else if (reader.isEnded) this.#drain(bytes === null);
      if (chunks.length === 0) return;
      if (!reader.isEnded) clearTimeout(this.#timer);
      this.#chunks = this.#chunks.length === 0 ? chunks : [...this.#chunks, ...chunks];
      this.#tell();
      // Nothing more is waited for: the engine may have said that it failed, and stay on the line.
      if (reader.failure !== undefined) this.#fail(connectionFailure(reader.failure.error, true));
    } catch (error) {
      this.#fail(connectionFailure(error, true));
    }
  }

  /** Whoever waits gets the next. */
  #tell(): void {
    if (!this.#isOpened) {
      this.#isOpened = true;
      this.#opening.resolve(this);
    }
    const reader = this.#reader;
    if (reader === undefined) return;
    this.#reader = undefined;
    reader.resolve({ done: false, value: this.#handOver() });
  }

  #handOver(): ChunkBatch {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#waitingBytes = 0;
    if (this.#controller?.paused === true) this.#controller.resume();
    return chunks;
  }

  #refuse({
    status,
    headers,
    bytes,
  }: {
    status: number;
    headers: Headers;
    bytes: readonly Uint8Array[];
  }): void {
    const text = Buffer.concat(bytes).toString('utf8', 0, MAX_ERROR_BYTES);
    this.#fail(this.#options.refusalOf(status, headers, text));
  }

  #arm(milliseconds: number, message: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#fail(new AttemptFailure(new BulkheadError('engine_timeout', message), false)),
      milliseconds,
    );
  }

  /** The answer is whole: what may still come is read beside the caller, so that the connection can be used again. */
  #drain(isClosed: boolean): void {
    clearTimeout(this.#timer);
    if (!isClosed) this.#timer = setTimeout(() => this.#controller?.abort(LEFT), DRAIN_MS);
  }

  /** `isNow`: what came and was not read is dropped. */
  #fail(error: unknown, isNow = false): void {
    if (this.#isOver) return;
    this.#end();
    if (isNow) this.#chunks = [];
    if (!this.#isOpened) {
      this.#isOpened = true;
      this.#opening.reject(error);
      return;
    }
    const failure = error instanceof AttemptFailure ? error.failure : error;
    if (this.#reader === undefined) this.#failure = { error: failure };
    else {
      this.#reader.reject(failure);
      this.#reader = undefined;
    }
  }

  /** Lets go of everything; of a call that is not whole, the connection too. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#letGoOfSignal();
    if (this.#options.reader.isEnded) return;
    clearTimeout(this.#timer);
    if (this.#controller?.aborted === false) this.#controller.abort(LEFT);
  }

  #letGoOfSignal(): void {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
  }
}
