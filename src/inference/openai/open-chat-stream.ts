import type { Pool } from 'undici';
import type { Release } from '#app/fair/fair-semaphore.ts';
import { type AnswerBounds, ChatChunkReader } from '#inference/openai/chat-chunk-reader.ts';
import { ChatStream, type ChatStreamOptions } from '#inference/openai/chat-stream.ts';
import { failureOf, readComplaint, retryAfterOf } from '#inference/openai/engine-failure.ts';

type OpenOptions = Readonly<{
  pool: Pool;
  /** Waits for a place: there is one for each connection of the pool. */
  admit: () => Promise<Release>;
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  model: string;
  now: () => number;
  /** See ChatChunkReader. */
  hidesCache: boolean;
}> &
  AnswerBounds &
  Pick<ChatStreamOptions, 'firstTokenTimeoutMs' | 'idleTimeoutMs'>;

/**
 * Waits for a place, sends one chat completion and waits for its first chunk. Until then every failure of the engine is an
 * AttemptFailure; the stream that is returned throws BulkheadErrors. Leaving it, or aborting, closes the connection at once.
 */
export async function openChatStream(options: OpenOptions, signal: AbortSignal): Promise<ChatStream> {
  const { pool, path, headers, body, model, now, firstTokenTimeoutMs, idleTimeoutMs } = options;
  const release = await options.admit();
  const stream = new ChatStream({
    reader: new ChatChunkReader(model, now, options),
    signal,
    firstTokenTimeoutMs,
    idleTimeoutMs,
    onClosed: release,
    refusalOf: (status, responseHeaders, text) => {
      const plain = { status, message: text.slice(0, 1_000), type: null, param: null };
      // In a response its own status counts, whatever number the body repeats.
      const complaint = { ...(readComplaint(parseOrNull(text), status) ?? plain), status };
      const retryAfterMs = retryAfterOf(responseHeaders, now());
      return failureOf(retryAfterMs === undefined ? complaint : { ...complaint, retryAfterMs }, model);
    },
  });
  if (stream.isOver) release();
  else {
    pool.dispatch(
      {
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
        body,
        // The stream's own times are the ones that count.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      stream,
    );
  }
  return stream.opened;
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
