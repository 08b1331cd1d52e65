import { PerformanceObserver } from 'node:perf_hooks';

/** What the event loop of this thread did between two moments. */
export type Steps = Readonly<{
  /** CPU milliseconds of the longest turn of the loop: for so long, at least, nothing else was served. */
  longestMs: number;
  /** Of that turn, milliseconds of the collector's pauses. */
  collectorMs: number;
  turns: number;
}>;

/** Turns that are kept until the collector's pauses are known, which are reported later. */
const MAX_KEPT = 16;

/**
 * CPU milliseconds of the calling thread. Linux brings a running thread's own time up to date at each tick of the clock alone, so
 * `process.threadCpuUsage()` goes by 4 ms; asked for the whole process's, it brings this thread's up to date first.
 */
export function threadCpuMs(): number {
  process.cpuUsage();
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/**
 * Measures the CPU time of each turn of the event loop: between two `setImmediate` callbacks of its own, the loop runs all timers,
 * all I/O and all immediates that were ready, once, with their promises. Time in which the thread slept, waited, or was kept from a
 * processor by other threads or processes does not count. Pauses of the collector on this thread do count, since nothing is served
 * meanwhile, and are reported beside. While it measures, the loop never sleeps: it takes a whole processor.
 */
export function startStepMeter(): { stop(): Promise<Steps> } {
  const kept: { cpuMs: number; from: number; to: number }[] = [];
  const pauses: { from: number; to: number }[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      pauses.push({ from: startTime, to: startTime + duration });
  });
  observer.observe({ entryTypes: ['gc'] });
  let turns = 0;
  let isOver = false;
  let lastCpu = threadCpuMs();
  let lastTime = performance.now();

  function turn(): void {
    const cpu = threadCpuMs();
    const now = performance.now();
    const cpuMs = cpu - lastCpu;
    turns += 1;
    if (kept.length < MAX_KEPT || cpuMs > (kept.at(-1)?.cpuMs ?? 0)) {
      kept.push({ cpuMs, from: lastTime, to: now });
      kept.sort((a, b) => b.cpuMs - a.cpuMs);
      kept.length = Math.min(kept.length, MAX_KEPT);
    }
    lastCpu = threadCpuMs();
    lastTime = performance.now();
    if (!isOver) setImmediate(turn);
  }
  setImmediate(turn);

  return {
    async stop() {
      isOver = true;
      // Pauses are reported in a later turn.
      await new Promise((resolve) => setTimeout(resolve, 5));
      observer.disconnect();
      const [longest] = kept;
      if (longest === undefined) return { longestMs: 0, collectorMs: 0, turns };
      const within = pauses.filter(({ from, to }) => to > longest.from && from < longest.to);
      const collectorMs = within.reduce((sum, { from, to }) => sum + to - from, 0);
      return { longestMs: longest.cpuMs, collectorMs, turns };
    },
  };
}
