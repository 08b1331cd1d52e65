import type { DependencyState, DependencyStates } from '#app/schemas/dependency-states.ts';
import type { Logger } from '#observability/logger.ts';

/**
 * Asks a dependency; throws where it does not answer. May return the states of what that dependency needs in turn. It must
 * end by itself: the next question waits for it.
 */
export type DependencyCheck = (signal: AbortSignal) => Promise<DependencyStates> | Promise<void>;

export interface DependencyWatch {
  /** As last seen, at once: a probe waits for nothing that others share. */
  states(): DependencyStates;
  /** Resolves when each was asked once, or after `CHECK_TIMEOUT_MS`. */
  first: Promise<void>;
  close(): void;
}

/** Pause between two checks of one dependency, milliseconds. */
const CHECK_EVERY_MS = 2_000;
/** A dependency that takes longer counts as failed, milliseconds. */
const CHECK_TIMEOUT_MS = 2_000;
/** How often the metric of a dependency that stays away is repeated, milliseconds: metrics are kept by the minute. */
const REPEAT_MS = 60_000;

/**
 * Watches what a service shares with its replicas, each dependency by itself. Changes are logged, with the metric
 * `DependencyUp` (1 or 0); while one is away, its line is repeated once a minute.
 */
export function watchDependencies(options: {
  checks: Readonly<Record<string, DependencyCheck>>;
  logger: Logger;
  everyMs?: number;
  timeoutMs?: number;
}): DependencyWatch {
  const { checks, logger, everyMs = CHECK_EVERY_MS, timeoutMs = CHECK_TIMEOUT_MS } = options;
  const states = new Map<string, { state: DependencyState; toldAt: number }>();
  const timers = new Set<NodeJS.Timeout>();
  let isClosed = false;

  function tell(dependency: string, state: DependencyState, error?: unknown): void {
    const last = states.get(dependency);
    const now = performance.now();
    const isNews = last?.state !== state;
    if (!isNews && (state === 'ok' || now - last.toldAt < REPEAT_MS)) return;
    states.set(dependency, { state, toldAt: now });
    const metric = state === 'unknown' ? {} : { metric: 'DependencyUp', value: state === 'ok' ? 1 : 0 };
    const fields = { event: 'dependency', dependency, state, ...metric };
    if (state === 'ok') logger.info(fields, `${dependency} answers`);
    else if (state === 'unknown') logger.warn(fields, `whether ${dependency} answers is not known`);
    else
      logger.warn(
        { ...fields, ...(error === undefined ? {} : { err: error }) },
        `${dependency} does not answer`,
      );
  }

  function after(milliseconds: number, work: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, milliseconds);
    timer.unref();
    timers.add(timer);
    return timer;
  }

  /** Resolves when the state is known, which may be before the check itself ends. */
  function watch(name: string, check: DependencyCheck, inner: Set<string>): Promise<void> {
    return new Promise((resolve) => {
      let isLate = false;
      const fail = (error: unknown) => {
        if (isClosed) return;
        tell(name, 'failed', error);
        for (const dependency of inner) tell(dependency, 'unknown');
        resolve();
      };
      const late = after(timeoutMs, () => {
        isLate = true;
        fail(new Error(`${name} did not answer within ${timeoutMs} ms.`));
      });
      check(AbortSignal.timeout(timeoutMs))
        .then(
          (found) => {
            if (isLate || isClosed) return;
            tell(name, 'ok');
            for (const [dependency, state] of Object.entries(found ?? {})) {
              inner.add(dependency);
              tell(dependency, state);
            }
          },
          (error: unknown) => {
            if (!isLate) fail(error);
          },
        )
        .finally(() => {
          clearTimeout(late);
          timers.delete(late);
          resolve();
          if (!isClosed) after(everyMs, () => void watch(name, check, inner));
        });
    });
  }

  const first = Promise.all(
    Object.entries(checks).map(([name, check]) => {
      states.set(name, { state: 'unknown', toldAt: performance.now() });
      return watch(name, check, new Set());
    }),
  );
  return {
    states: () => Object.fromEntries([...states].map(([name, { state }]) => [name, state])),
    first: first.then(() => undefined),
    close() {
      isClosed = true;
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
