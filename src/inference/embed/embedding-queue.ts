/** Embeds a few texts; one vector a text, in order. */
export type RunBatch = (texts: readonly string[]) => Promise<Float32Array[]>;

export type EmbeddingQueue = {
  submit(texts: readonly string[], urgent: boolean, signal: AbortSignal | undefined): Promise<Float32Array[]>;
  /** Rejects what waits, and everything submitted later; resolves when the batch under way has ended. */
  close(reason: Error): Promise<void>;
};

type Job = {
  urgent: boolean;
  texts: readonly string[];
  /** Places in `texts` that are still to be run, the next batch last. */
  batches: number[][];
  vectors: Float32Array[];
  settle: (error: unknown) => void;
};

/**
 * A batch has about this many characters, or one text: some 15 ms of work on two cores. A query waits for one
 * batch at most; shorter batches would wait for messages between threads more than for the model.
 */
const CHARACTERS_PER_BATCH = 1_200;
const TEXTS_PER_BATCH = 32;
/** Under an endless load of queries, one batch in this many is still a passage's, so that indexing ends. */
const URGENT_BATCHES_IN_A_ROW = 12;

/**
 * Feeds the model one small batch at a time. Urgent jobs go first; jobs of one rank take turns batch by batch,
 * so that a long document of one tenant does not hold up a short one of another.
 */
export function createEmbeddingQueue(runBatch: RunBatch): EmbeddingQueue {
  const urgentJobs: Job[] = [];
  const patientJobs: Job[] = [];
  let urgentBatches = 0;
  let pump: Promise<void> | null = null;
  let closedBecause: Error | null = null;

  const takeNext = (): Job | undefined => {
    const patientsTurn = urgentBatches >= URGENT_BATCHES_IN_A_ROW && patientJobs.length > 0;
    const jobs = urgentJobs.length > 0 && !patientsTurn ? urgentJobs : patientJobs;
    urgentBatches = jobs === urgentJobs ? urgentBatches + 1 : 0;
    return jobs.shift();
  };

  const runAll = async (): Promise<void> => {
    for (let job = takeNext(); job !== undefined; job = takeNext()) {
      const places = job.batches.pop() ?? [];
      const { texts, vectors, settle } = job;
      try {
        const results = await runBatch(places.map((place) => texts[place] ?? ''));
        for (const [i, place] of places.entries()) {
          const vector = results[i];
          if (vector === undefined) throw new Error('The embedding model returned too few vectors.');
          vectors[place] = vector;
        }
      } catch (error) {
        settle(error);
        continue;
      }
      if (job.batches.length === 0) settle(null);
      else if (closedBecause !== null) settle(closedBecause);
      else (job.urgent ? urgentJobs : patientJobs).push(job);
    }
    pump = null;
  };

  return {
    submit(texts, urgent, signal) {
      return new Promise((resolve, reject) => {
        if (closedBecause !== null) return reject(closedBecause);
        if (signal?.aborted) return reject(signal.reason);
        if (texts.length === 0) return resolve([]);
        const jobs = urgent ? urgentJobs : patientJobs;
        const onAbort = (): void => {
          job.batches.length = 0;
          const place = jobs.indexOf(job);
          if (place >= 0) jobs.splice(place, 1);
          job.settle(signal?.reason);
        };
        const job: Job = {
          urgent,
          texts,
          batches: planBatches(texts),
          vectors: [],
          settle(error) {
            signal?.removeEventListener('abort', onAbort);
            if (error === null) resolve(job.vectors);
            else reject(error);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        jobs.push(job);
        pump ??= runAll();
      });
    },
    async close(reason) {
      closedBecause = reason;
      for (const job of [...urgentJobs.splice(0), ...patientJobs.splice(0)]) job.settle(reason);
      await pump;
    },
  };
}

/** In order; the result is a stack, so its last batch holds the first texts. */
function planBatches(texts: readonly string[]): number[][] {
  const batches: number[][] = [];
  let batch: number[] = [];
  let characters = 0;
  for (const [place, { length }] of texts.entries()) {
    if (
      batch.length > 0 &&
      (characters + length > CHARACTERS_PER_BATCH || batch.length === TEXTS_PER_BATCH)
    ) {
      batches.push(batch);
      batch = [];
      characters = 0;
    }
    batch.push(place);
    characters += length;
  }
  batches.push(batch);
  return batches.reverse();
}
