import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { endWhenStalled } from '#router/http/end-when-stalled.ts';

/** Silence after which a comment is sent, so that proxies keep the connection. */
export const KEEP_ALIVE_MS = 15_000;

/** One server-sent event with JSON data; JSON never holds a raw line break. */
export const sseEvent = (name: string, data: unknown): string =>
  `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

/** An unnamed event, as OpenAI streams have them. */
export const sseData = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

export interface SseWriter {
  /** Waits while the client reads too slowly. Throws an AbortError when it has left. */
  write(frames: string): Promise<void>;
  /** Ends the stream, with these frames last, and stops the keep-alive. Safe to call twice, and after the client left. */
  end(frames?: string): void;
}

/** Starts an event stream on a raw response: headers go out now, frames as they come. */
export function openSse(options: {
  response: ServerResponse;
  /** Sent with the stream's own headers. */
  headers: Readonly<Record<string, number | string | readonly string[] | undefined>>;
  /** Fires when the client leaves. */
  signal: AbortSignal;
  keepAliveMs?: number;
  /** After so long without reading, the client is cut off. */
  stallMs?: number;
}): SseWriter {
  const { response, headers, signal, keepAliveMs = KEEP_ALIVE_MS, stallMs } = options;
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) response.setHeader(name, value);
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    // nginx buffers answers unless it is told not to.
    'x-accel-buffering': 'no',
  });
  // Frames leave at once: Node's HTTP server sets TCP_NODELAY by itself.
  response.flushHeaders();
  endWhenStalled(response, stallMs);

  const keepAlive = setInterval(() => {
    // A client that does not read needs no more to read.
    if (!response.writableNeedDrain) response.write(': keep-alive\n\n');
  }, keepAliveMs);
  const stop = () => clearInterval(keepAlive);
  response.once('close', stop);

  return {
    async write(frames) {
      signal.throwIfAborted();
      keepAlive.refresh();
      // The signal fires on close, so a client that stalls and then leaves does not leave us waiting.
      if (!response.write(frames)) await once(response, 'drain', { signal });
    },
    end(frames = '') {
      stop();
      if (!response.writableEnded) response.end(frames);
    },
  };
}
