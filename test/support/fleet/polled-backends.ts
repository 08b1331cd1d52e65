import { setTimeout as delay } from 'node:timers/promises';

export type PollOptions = Readonly<{
  /** Pause between two polls of `/readyz`, milliseconds. */
  intervalMs: number;
  /** Longest wait for an answer to a poll, milliseconds. */
  timeoutMs: number;
  /** Polls in a row after which a backend gets requests, and after which it gets no more. */
  healthyThreshold: number;
  unhealthyThreshold: number;
  /** How much later than the decision it takes effect, as endpoints spread through a cluster, milliseconds. */
  spreadMs: number;
}>;

export const FAST_POLLS: PollOptions = {
  intervalMs: 100,
  timeoutMs: 2_000,
  healthyThreshold: 1,
  unhealthyThreshold: 2,
  spreadMs: 100,
};

export type Backend = Readonly<{ url: string; isReady(): boolean }>;

/** The backends of a front: each is polled for its readiness as a load balancer or a kubelet does. */
export class PolledBackends {
  readonly #options: PollOptions;
  readonly #onChange: () => void;
  readonly #polls = new Map<string, { isReady: boolean; stop: AbortController; done: Promise<void> }>();
  #turn = 0;

  constructor(options: PollOptions, onChange: () => void = () => undefined) {
    this.#options = options;
    this.#onChange = onChange;
  }

  add(url: string): void {
    const entry = { isReady: false, stop: new AbortController(), done: Promise.resolve() };
    this.#polls.set(url, entry);
    entry.done = this.#poll(url, entry);
  }

  remove(url: string): void {
    this.#polls.get(url)?.stop.abort();
    if (this.#polls.delete(url)) this.#onChange();
  }

  isReady(url: string): boolean {
    return this.#polls.get(url)?.isReady ?? false;
  }

  ready(): string[] {
    return [...this.#polls].filter(([, { isReady }]) => isReady).map(([url]) => url);
  }

  /** The next ready backend in turn; null where none is ready. */
  next(): string | null {
    const ready = this.ready();
    return ready[this.#turn++ % Math.max(1, ready.length)] ?? null;
  }

  async close(): Promise<void> {
    const polls = [...this.#polls.values()];
    for (const { stop } of polls) stop.abort();
    await Promise.all(polls.map(({ done }) => done));
  }

  async #poll(url: string, entry: { isReady: boolean; stop: AbortController }): Promise<void> {
    const { intervalMs, timeoutMs, healthyThreshold, unhealthyThreshold, spreadMs } = this.#options;
    const { signal } = entry.stop;
    let inARow = 0;
    let decided = false;
    while (!signal.aborted) {
      const isUp = await fetch(`${url}/readyz`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      }).then(
        async (response) => {
          await response.text();
          return response.status === 200;
        },
        () => false,
      );
      inARow = isUp === decided ? 0 : inARow + 1;
      if (inARow >= (isUp ? healthyThreshold : unhealthyThreshold)) {
        decided = isUp;
        inARow = 0;
        setTimeout(() => {
          if (signal.aborted) return;
          entry.isReady = isUp;
          this.#onChange();
        }, spreadMs);
      }
      await delay(intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
