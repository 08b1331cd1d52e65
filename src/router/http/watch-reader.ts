import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A client that has taken nothing of what waits for it for so long is cut off. */
export const DEFAULT_STALL_MS = 45_000;
/** Looks within the time: by so small a part of it a client may be cut off later. */
const LOOKS = 8;

/**
 * Cuts a client off that does not read: while bytes of the answer wait in this process and the kernel takes none of them for
 * `stallMs`. A slow source (an engine that thinks, an archive that is being made) leaves nothing waiting and has no such limit.
 * Closing frees what the answer holds: its place, its memory, and the engine that writes the rest.
 *
 * Node's own socket timeout is not enough: it starts again whenever a part of a large write was taken, so that a client that
 * stopped reading was cut off after as much as twice the time.
 */
export function watchReader(response: ServerResponse, stallMs: number): { stop(): void } {
  let last = '';
  let looks = 0;
  const timer = setInterval(() => {
    const { socket } = response;
    // Without a socket an earlier answer of the connection is still being sent.
    const mark = socket === null || socket.writableLength === 0 ? '' : progressOf(socket);
    looks = mark !== '' && mark === last ? looks + 1 : 0;
    last = mark;
    if (looks >= LOOKS) response.destroy();
  }, stallMs / LOOKS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** Changes whenever the kernel takes anything: the bytes of finished writes, and what is left of the one under way. */
function progressOf(socket: Socket): string {
  // Only the handle knows how far a single large write has come.
  const handle: unknown = Reflect.get(socket, '_handle');
  const left: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'writeQueueSize') : undefined;
  return `${socket.bytesWritten - socket.writableLength} ${String(left)}`;
}
