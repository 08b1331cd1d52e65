/**
 * Runs the work again and again, never twice at once for one key. Calls that come while it runs share the one run that
 * follows, so that what was there before a call is seen by a run that began after it.
 */
export function shareRuns<Argument>(
  keyOf: (argument: Argument) => unknown,
  work: (argument: Argument) => Promise<void>,
): (argument: Argument) => Promise<void> {
  type Runs = { current: Promise<void>; next: Promise<void> | undefined };
  const underWay = new Map<unknown, Runs>();

  function start(argument: Argument): Promise<void> {
    const key = keyOf(argument);
    const runs: Runs = { current: work(argument), next: undefined };
    underWay.set(key, runs);
    const end = () => {
      if (runs.next === undefined) underWay.delete(key);
    };
    runs.current.then(end, end);
    return runs.current;
  }

  return (argument) => {
    const runs = underWay.get(keyOf(argument));
    if (runs === undefined) return start(argument);
    const begin = () => start(argument);
    runs.next ??= runs.current.then(begin, begin);
    return runs.next;
  };
}
