import type { ServerResponse } from 'node:http';

/** A client that takes nothing of an answer for so long has gone, whatever its connection says. */
const STALL_MS = 60_000;
/** Of a file or an archive, which may be slow to come. */
export const FILE_STALL_MS = 300_000;

/**
 * Cuts a client off that does not read. Node waits for it for ever, and holds for it what is not sent yet: memory, files, and
 * the engine that writes the rest. Whatever the client takes, and whatever more is written, begins the time anew.
 */
export function endWhenStalled(response: ServerResponse, stallMs = STALL_MS): void {
  response.setTimeout(stallMs, () => response.destroy());
}
