import { FairJobs } from '#inference/embed/fair-jobs.ts';

/** Embeds a few texts; one vector a text, in order. */
export type RunBatch = (texts: readonly string[]) => Promise<Float32Array[]>;

export type EmbeddingQueue = {
  submit(
    texts: readonly string[],
    rank: Readonly<{ urgent: boolean; tenantId: string }>,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]>;
  /** Rejects what waits, and everything submitted later; resolves when the batch under way has ended. */
  close(reason: Error): Promise<void>;
};

/** Places of texts, and the bytes of those. */
type Batch = { places: number[]; bytes: number };

type Job = {
  urgent: boolean;
  tenantId: string;
  texts: readonly string[];
  /** Places in `texts` that no thread has taken yet, the next batch last. */
  batches: Batch[];
  vectors: Float32Array[];
  missing: number;
  settle: (error: unknown) => void;
};

/**
 * A batch has about this many bytes of UTF-8, which are nearer to its tokens than characters are, or one text: some 30 ms of
 * work. A query waits for one batch at most; shorter batches would wait for messages between threads more than for the
 * model. Urgent jobs are cut finer, so that every thread has a share of one.
 */
const BYTES_PER_BATCH = { patient: 1_200, urgent: 400 };
const TEXTS_PER_BATCH = 32;

/**
 * Feeds the model's threads one small batch each at a time, in the order of {@link FairJobs}: neither a long document nor a
 * hundred questions of one tenant hold up another.
 */
export function createEmbeddingQueue(threads: readonly RunBatch[]): EmbeddingQueue {
  const jobs = new FairJobs<Job>();
  const idle = [...threads];
  const busy = new Set<Promise<void>>();
  let closedBecause: Error | null = null;

  const remove = (job: Job): void => {
    job.batches.length = 0;
    jobs.remove(job);
  };

  const run = async (thread: RunBatch, job: Job, places: readonly number[]): Promise<void> => {
    try {
      const results = await thread(places.map((place) => job.texts[place] ?? ''));
      for (const [i, place] of places.entries()) {
        const vector = results[i];
        if (vector === undefined) throw new Error('The embedding model returned too few vectors.');
        job.vectors[place] = vector;
      }
      job.missing -= places.length;
      if (job.missing === 0) job.settle(null);
    } catch (error) {
      remove(job);
      job.settle(error);
    }
  };

  const dispatch = (): void => {
    while (idle.length > 0) {
      const job = jobs.next();
      const batch = job?.batches.pop();
      if (job === undefined || batch === undefined) return;
      jobs.charge(job, batch.bytes);
      if (job.batches.length === 0) jobs.remove(job);
      const thread = idle.pop();
      if (thread === undefined) return;
      const running = run(thread, job, batch.places).then(() => {
        busy.delete(running);
        idle.push(thread);
        dispatch();
      });
      busy.add(running);
    }
  };

  return {
    submit(texts, { urgent, tenantId }, signal) {
      return new Promise((resolve, reject) => {
        if (closedBecause !== null) return reject(closedBecause);
        if (signal?.aborted) return reject(signal.reason);
        if (texts.length === 0) return resolve([]);
        const onAbort = (): void => {
          remove(job);
          job.settle(signal?.reason);
        };
        const job: Job = {
          urgent,
          tenantId,
          texts,
          batches: planBatches(texts, urgent ? BYTES_PER_BATCH.urgent : BYTES_PER_BATCH.patient),
          vectors: [],
          missing: texts.length,
          settle(error) {
            signal?.removeEventListener('abort', onAbort);
            if (error === null) resolve(job.vectors);
            else reject(error);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        jobs.add(job);
        dispatch();
      });
    },
    async close(reason) {
      closedBecause = reason;
      for (const job of jobs.all()) {
        remove(job);
        job.settle(reason);
      }
      await Promise.all(busy);
    },
  };
}

/** In order; the result is a stack, so its last batch holds the first texts. */
function planBatches(texts: readonly string[], bytesPerBatch: number): Batch[] {
  const batches: Batch[] = [];
  let batch: Batch = { places: [], bytes: 0 };
  for (const [place, text] of texts.entries()) {
    const bytes = Buffer.byteLength(text);
    const { length } = batch.places;
    if (length > 0 && (batch.bytes + bytes > bytesPerBatch || length === TEXTS_PER_BATCH)) {
      batches.push(batch);
      batch = { places: [], bytes: 0 };
    }
    batch.places.push(place);
    batch.bytes += bytes;
  }
  batches.push(batch);
  return batches.reverse();
}
