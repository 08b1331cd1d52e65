import type { IncomingMessage } from 'node:http';

/** A client that sends more than this after it was refused is cut off. */
const MAX_DRAINED_BYTES = 64 * 1024 * 1024;
const MAX_DRAIN_MS = 30_000;

/**
 * Reads the rest of a refused body and throws it away. Closing at once would reset the connection while the client
 * still sends, and many clients then never see the answer that says why.
 */
export function drainRequest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  let drained = 0;
  const cut = setTimeout(() => request.destroy(), MAX_DRAIN_MS);
  cut.unref();
  const stop = () => clearTimeout(cut);
  request.unpipe();
  request.once('end', stop);
  request.once('close', stop);
  request.on('data', (chunk: Buffer) => {
    drained += chunk.length;
    if (drained > MAX_DRAINED_BYTES) request.destroy();
  });
  request.resume();
}
