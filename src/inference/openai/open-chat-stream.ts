import type { Dispatcher, Pool } from 'undici';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import { createDeadline, type Deadline } from '#inference/deadline.ts';
import { ChatChunkReader } from '#inference/openai/chat-chunk-reader.ts';
import {
  connectionFailure,
  failureOf,
  readComplaint,
  retryAfterOf,
} from '#inference/openai/engine-failure.ts';
import { AttemptFailure } from '#inference/retry.ts';

export type ChatStreamOptions = Readonly<{
  pool: Pool;
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  model: string;
  /** From sending to the first chunk, and between chunks: comments of a proxy do not count. Milliseconds. */
  firstTokenTimeoutMs: number;
  idleTimeoutMs: number;
  now: () => number;
}>;

type Chunks = AsyncGenerator<ChatCompletionChunk, void, undefined>;
type Body = Dispatcher.ResponseData['body'];

/** An error's body is short; a proxy's error page may not be. */
const MAX_ERROR_BYTES = 65_536;
/** How long and how much to read on after the last event, so that the connection can be used again. */
const DRAIN_MS = 1_000;
const DRAIN_BYTES = 65_536;

/**
 * Sends one chat completion and waits for its first chunk. Until then every failure is an AttemptFailure; the
 * stream that is returned throws BulkheadErrors. Leaving it, or aborting, closes the connection at once.
 */
export async function openChatStream(options: ChatStreamOptions, signal: AbortSignal): Promise<Chunks> {
  const { pool, path, headers, body: sent, model, now } = options;
  const deadline = createDeadline(signal);
  let answerHadBegun = false;
  try {
    deadline.arm(options.firstTokenTimeoutMs, () =>
      timeout(`The inference engine sent no token within ${options.firstTokenTimeoutMs} ms.`),
    );
    const response = await pool.request({
      path,
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
      body: sent,
      signal: deadline.signal,
      // The deadline above is the one that counts.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    answerHadBegun = true;
    if (response.statusCode !== 200) throw await failureOfResponse(response, model, now);
    refuseOtherThanStream(response);
    // Not destroyed when the reader stops at [DONE]: see `letGo`.
    const source = {
      bytes: response.body.iterator({ destroyOnReturn: false }),
      reader: new ChatChunkReader(model, now),
    };
    const first = await readChunks(source);
    deadline.disarm();
    return passOn(first, source, response.body, deadline, options.idleTimeoutMs);
  } catch (error) {
    // The deadline's own failure is not repeated: the engine is busy, and asking twice makes it busier.
    const failure = deadline.signal.aborted
      ? deadline.signal.reason
      : connectionFailure(error, answerHadBegun);
    deadline.end();
    throw failure instanceof BulkheadError ? new AttemptFailure(failure, false) : failure;
  }
}

type Source = Readonly<{ bytes: AsyncIterator<unknown>; reader: ChatChunkReader }>;

/** Reads until there is at least one chunk. */
async function readChunks({ bytes, reader }: Source): Promise<ChatCompletionChunk[]> {
  for (;;) {
    const next = await bytes.next();
    const chunks = reader.feed(next.value instanceof Uint8Array ? next.value : null);
    if (chunks.length > 0) return chunks;
  }
}

async function* passOn(
  first: ChatCompletionChunk[],
  source: Source,
  body: Body,
  deadline: Deadline,
  idleTimeoutMs: number,
): Chunks {
  let isWhole = false;
  try {
    for (let chunks = first; ; chunks = await readChunks(source)) {
      deadline.disarm();
      for (const chunk of chunks) {
        yield chunk;
        deadline.signal.throwIfAborted();
      }
      if (source.reader.isEnded) break;
      deadline.arm(idleTimeoutMs, () =>
        timeout(`The inference engine sent nothing for ${idleTimeoutMs} ms.`),
      );
    }
    isWhole = true;
  } catch (error) {
    if (deadline.signal.aborted) throw deadline.signal.reason;
    throw connectionFailure(error, true).failure;
  } finally {
    if (isWhole) {
      // The stream goes on without this reader.
      await source.bytes.return?.();
      letGo(body, deadline);
    } else deadline.end();
  }
}

/** Reads a finished answer to its end, beside the caller, so that its connection can be used again. */
function letGo(body: Body, deadline: Deadline): void {
  let rest = 0;
  const timer = setTimeout(deadline.end, DRAIN_MS);
  body.on('data', (chunk: Uint8Array) => {
    rest += chunk.byteLength;
    if (rest > DRAIN_BYTES) deadline.end();
  });
  // What fails now concerns nobody.
  body.on('error', () => undefined);
  const end = () => {
    clearTimeout(timer);
    deadline.end();
  };
  if (body.closed) end();
  else body.once('close', end);
}

const timeout = (message: string) => new BulkheadError('engine_timeout', message);

function refuseOtherThanStream({ headers }: Dispatcher.ResponseData): void {
  const type = headers['content-type'];
  if (type === undefined || (typeof type === 'string' && /^text\/event-stream\b/i.test(type))) return;
  const error = new BulkheadError('engine_error', 'The inference engine does not stream its answers.', {
    cause: new Error(`content-type: ${String(type)}`),
  });
  throw new AttemptFailure(error, false);
}

async function failureOfResponse(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  model: string,
  now: () => number,
): Promise<AttemptFailure> {
  const status = statusCode;
  const text = await readBounded(body, MAX_ERROR_BYTES);
  const plain = { status, message: text.slice(0, 1_000), type: null, param: null };
  // In a response its own status counts, whatever number the body repeats.
  const complaint = { ...(readComplaint(parseOrNull(text), status) ?? plain), status };
  const retryAfterMs = retryAfterOf(headers, now());
  return failureOf(retryAfterMs === undefined ? complaint : { ...complaint, retryAfterMs }, model);
}

/** At most so many bytes, as text; the rest is cut off with the connection. */
export async function readBounded(body: Body, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    text += decoder.decode(chunk, { stream: true });
    bytes += chunk.byteLength;
    if (bytes > maxBytes) break;
  }
  return text;
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
