import type { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** A signal that fires when the caller's does, or when an armed time is over. */
export type Deadline = Readonly<{
  signal: AbortSignal;
  /** Fires with this failure unless it is armed anew or disarmed in time. */
  arm(milliseconds: number, failure: () => BulkheadError): void;
  disarm(): void;
  /** Ends whatever the signal guards, and lets go of the caller's signal. Safe to call twice. */
  end(): void;
}>;

/** The reason of a signal whose work is over. Made once: an error records where it was made, and that takes its time. */
const OVER = new DOMException('The work is over.', 'AbortError');

/** By hand, not `AbortSignal.any`: the caller's signal may live long, and nothing of ours may stay on it. */
export function createDeadline(outer: AbortSignal): Deadline {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onOuterAbort = () => controller.abort(outer.reason);
  if (outer.aborted) onOuterAbort();
  else outer.addEventListener('abort', onOuterAbort, { once: true });
  const disarm = () => clearTimeout(timer);
  return {
    signal: controller.signal,
    arm(milliseconds, failure) {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(failure()), milliseconds);
    },
    disarm,
    end() {
      disarm();
      outer.removeEventListener('abort', onOuterAbort);
      if (!controller.signal.aborted) controller.abort(OVER);
    },
  };
}
