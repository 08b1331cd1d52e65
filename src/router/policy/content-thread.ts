import { Worker } from 'node:worker_threads';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import { TenantPlaces } from '#router/judges/tenant-places.ts';
import { WaitingLine } from '#router/limits/redis/waiting-line.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import type { ContentDecision, RequestText } from '#router/policy/decide-content.ts';

/** A text and the policy that it is put to. */
export type ContentJob = Readonly<{ config: TenantConfig; version: number; text: RequestText }>;
export type ContentReply = Readonly<{ decision: ContentDecision } | { failed: string }>;

/** Puts long texts to patterns in a thread of its own: RE2 takes time in proportion to both, and takes it in one piece. */
export interface ContentThread {
  /** As `decideContent`. Throws where it takes too long, or the signal's reason: then nothing is known of the text. */
  decide(policy: CompiledPolicy, text: RequestText, signal: AbortSignal): Promise<ContentDecision>;
  close(): Promise<void>;
}

/** Characters times the policy's weight: tens of milliseconds for the slowest patterns, one for usual ones. */
const MAX_HERE = 4_000_000;
const MAX_JOB_MS = 5_000;

/** Whether the text would keep other requests waiting. */
export const isForThread = ({ weight }: CompiledPolicy, { text }: RequestText): boolean =>
  weight * text.length > MAX_HERE;

/** The thread starts with the first job. One job at a time, and of each tenant one that waits: tenants take turns. */
export function createContentThread(options: { maxJobMs?: number } = {}): ContentThread {
  const { maxJobMs = MAX_JOB_MS } = options;
  const places = new TenantPlaces(1);
  const line = new WaitingLine(1);
  let worker: Worker | null = null;
  let isClosed = false;

  function runningWorker(): Worker {
    if (isClosed) throw new Error('The thread is closed.');
    if (worker !== null) return worker;
    // Beside this file in the sources and in the build, where the ending differs.
    const file = import.meta.url.endsWith('.ts') ? './content-worker.ts' : './content-worker.js';
    const started = new Worker(new URL(file, import.meta.url), { name: 'content' });
    // However it ends, the next job gets another.
    started.once('exit', () => {
      if (worker === started) worker = null;
    });
    // An error that nobody listens to would end the process; the thread ends with it, and whoever waits is told of that.
    started.on('error', () => {});
    worker = started;
    return started;
  }

  async function run(job: ContentJob): Promise<ContentDecision> {
    const runner = runningWorker();
    // An idle thread does not keep the process alive; a job does.
    runner.ref();
    const { promise, resolve, reject } = Promise.withResolvers<ContentReply>();
    const onExit = () => reject(new Error('The thread ended.'));
    const timer = setTimeout(
      () => reject(new Error(`The patterns took more than ${maxJobMs} ms.`)),
      maxJobMs,
    );
    runner.once('message', resolve).once('error', reject).once('exit', onExit);
    try {
      runner.postMessage(job);
      const reply = await promise;
      if ('failed' in reply) throw new Error(`The patterns failed: ${reply.failed}`);
      runner.unref();
      return reply.decision;
    } catch (error) {
      // It may still be at it, and would answer the next job with what it says of this one.
      if (worker === runner) worker = null;
      void runner.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
      runner.off('message', resolve).off('error', reject).off('exit', onExit);
    }
  }

  return {
    async decide({ config, version }, text, signal) {
      const leave = await places.enter(config.tenant_id, signal);
      try {
        const wait = line.enter();
        if (wait !== null) await wait;
        try {
          signal.throwIfAborted();
          return await run({ config, version, text });
        } finally {
          line.leave();
        }
      } finally {
        leave();
      }
    },
    async close() {
      isClosed = true;
      await worker?.terminate();
    },
  };
}
