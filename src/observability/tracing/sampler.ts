/** Traces a second that clients may have recorded by setting the sampled flag, whatever the ratio is. */
export const MAX_REQUESTED_PER_SECOND = 10;
/** Traces a second that are kept because they failed or were refused, whatever the ratio is. */
export const MAX_KEPT_PER_SECOND = 50;

/** The last 56 bits of a trace id are random by W3C Trace Context, level 2. */
const RANDOM_DIGITS = 14;
const RANDOM_RANGE = 2 ** 56;

/** Whether a trace is among the `ratio` of all: every service decides the same of one trace id. */
export const isWithinRatio = (traceId: string, ratio: number): boolean =>
  ratio >= 1 || Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) < ratio * RANDOM_RANGE;

/** Says yes at most `perSecond` times in each second of the clock (monotonic milliseconds). */
export function atMostPerSecond(perSecond: number, now: () => number): () => boolean {
  let second = Number.NEGATIVE_INFINITY;
  let count = 0;
  return () => {
    const current = Math.floor(now() / 1_000);
    if (current !== second) {
      second = current;
      count = 0;
    }
    count += 1;
    return count <= perSecond;
  };
}
