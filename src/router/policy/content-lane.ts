import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import type { ContentDecision, RequestText } from '#router/policy/decide-content.ts';

/** A text and the policy that it is put to. */
export type ContentJob = Readonly<{ config: TenantConfig; version: number; text: RequestText }>;
/** What the thread says: first that it has begun the job, then how the job ended. */
export type ContentReply = Readonly<{ began: true } | { decision: ContentDecision } | { failed: string }>;

/** Thrown where a text took longer than it may: the thread has been told to stop. */
export class ContentTimeout extends Error {
  constructor(maxJobMs: number) {
    super(`The patterns took more than ${maxJobMs} ms.`);
  }
}

/** One thread at most, one job at a time: the caller waits for a job before it gives the next. */
export interface ContentLane {
  /** As `decideContent`. Throws {@link ContentTimeout}, or where the thread fails. */
  run(job: ContentJob): Promise<ContentDecision>;
  /** Threads that are alive: 0 or 1, those that are ending included. */
  readonly threads: number;
  close(): Promise<void>;
}

/** Loading the code takes half a second, several on a busy machine. */
const MAX_START_MS = 15_000;
/** What the caller waits for a thread to end. JavaScript ends at once; only a native call is waited for. */
const MAX_ENDING_MS = 5_000;
/** Megabytes: a text of the largest body in several forms, and what is compiled. */
const MAX_HEAP_MB = 512;

/**
 * A thread for long texts. It starts with the first job. Of a job that takes too long the thread is terminated, and the next
 * job waits until it has ended: threads that were told to stop are never beside the one that works.
 */
export function createContentLane({
  maxJobMs,
  startThread = startContentWorker,
}: {
  maxJobMs: number;
  /** For tests: a thread that ends late. */
  startThread?: () => Worker;
}): ContentLane {
  let worker: Worker | null = null;
  /** The end of the thread before, while it has not ended. */
  let ending: Promise<unknown> | null = null;
  let isClosed = false;

  async function runningWorker(): Promise<Worker> {
    if (ending !== null) {
      const timer = new AbortController();
      const tooLate = delay(MAX_ENDING_MS, true, { signal: timer.signal, ref: false }).catch(() => false);
      const isLate = await Promise.race([ending.then(() => false), tooLate]);
      timer.abort();
      if (isLate) throw new Error('The thread before has not ended yet.');
    }
    if (isClosed) throw new Error('The thread is closed.');
    if (worker !== null) return worker;
    const started = startThread();
    // However it ends, the next job gets another.
    started.once('exit', () => {
      if (worker === started) worker = null;
    });
    // An error without a listener would end the process; the thread ends with it, and the job fails.
    started.on('error', () => {});
    worker = started;
    return started;
  }

  function stop(runner: Worker): void {
    if (worker === runner) worker = null;
    // Where it has ended by itself, this resolves at once.
    const end = runner.terminate().finally(() => {
      if (ending === end) ending = null;
    });
    ending = end;
  }

  return {
    get threads() {
      return worker === null && ending === null ? 0 : 1;
    },
    async run(job) {
      const runner = await runningWorker();
      // An idle thread does not keep the process alive; a job does.
      runner.ref();
      const { promise, resolve, reject } = Promise.withResolvers<ContentDecision>();
      // Loading the thread is not the text's time.
      let timer = setTimeout(() => reject(new Error('The thread did not start in time.')), MAX_START_MS);
      const onMessage = (reply: ContentReply) => {
        if ('began' in reply) {
          clearTimeout(timer);
          timer = setTimeout(() => reject(new ContentTimeout(maxJobMs)), maxJobMs);
        } else if ('failed' in reply) reject(new Error(`The patterns failed: ${reply.failed}`));
        else resolve(reply.decision);
      };
      const onExit = () => reject(new Error('The thread ended.'));
      runner.on('message', onMessage).once('error', reject).once('exit', onExit);
      try {
        runner.postMessage(job);
        const decision = await promise;
        runner.unref();
        return decision;
      } catch (error) {
        // It may still be at it, and would answer the next job with what it says of this one.
        stop(runner);
        throw error;
      } finally {
        clearTimeout(timer);
        runner.off('message', onMessage).off('error', reject).off('exit', onExit);
      }
    },
    async close() {
      isClosed = true;
      await worker?.terminate();
      await ending;
    },
  };
}

function startContentWorker(): Worker {
  // Beside this file in the sources and in the build, where the ending differs.
  const file = import.meta.url.endsWith('.ts') ? './content-worker.ts' : './content-worker.js';
  return withErrorListener(
    new Worker(new URL(file, import.meta.url), {
      name: 'content',
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    }),
  );
}
