import { turnOfTenant } from '#app/turn-of-tenant.ts';

/** Work of one tenant goes on for so long before other requests have their turn; the step under way is finished. */
const SLICE_MS = 3;

/**
 * Runs work that yields between its steps to its end, and gives way to the event loop every few milliseconds. A step should take a
 * millisecond or two: what is between two yields runs in one piece. Throws the signal's reason.
 */
export async function inSlices<Result>(
  work: Generator<unknown, Result>,
  { tenantId, signal }: Readonly<{ tenantId: string; signal?: AbortSignal | undefined }>,
): Promise<Result> {
  for (let began = performance.now(); ; ) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (performance.now() - began <= SLICE_MS) continue;
    await turnOfTenant(tenantId);
    signal?.throwIfAborted();
    began = performance.now();
  }
}

/** Runs the work to its end in one piece: for short texts, threads of their own, and training. */
export function atOnce<Result>(work: Generator<unknown, Result>): Result {
  for (let step = work.next(); ; step = work.next()) if (step.done === true) return step.value;
}
