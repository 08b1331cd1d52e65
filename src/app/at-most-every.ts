/**
 * A reporter that is called at most once in so many milliseconds; what comes between is dropped. For lines of the log about what
 * another system repeats.
 */
export function atMostEvery<Arguments extends readonly unknown[]>(
  intervalMs: number,
  monotonicNow: () => number,
  report: (...args: Arguments) => void,
): (...args: Arguments) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (...args) => {
    const now = monotonicNow();
    if (now - last < intervalMs) return;
    last = now;
    report(...args);
  };
}
