/** Embeds a few texts in one run of the model; one vector a text, in order. */
export type RunBatch = (texts: readonly string[]) => Promise<Float32Array[]>;

export type EmbeddingQueue = {
  submit(texts: readonly string[], urgent: boolean, signal: AbortSignal | undefined): Promise<Float32Array[]>;
  /** Rejects what waits, and everything submitted later; resolves when the run under way has ended. */
  close(reason: Error): Promise<void>;
};

type Job = {
  urgent: boolean;
  texts: readonly string[];
  /** Places in `texts`, in runs of similar length. */
  batches: number[][];
  vectors: Float32Array[];
  settle: (error: unknown) => void;
};

/**
 * A run has about this many characters, padding counted, or one text. Measured on two cores, a second
 * 300-token passage in a run makes each of them slower, so runs only bundle short texts; and a query waits for one run at most.
 */
const CHARACTERS_PER_RUN = 1_600;
const TEXTS_PER_RUN = 24;
/** Under an endless load of queries, one run in this many is still a passage's, so that indexing ends. */
const URGENT_RUNS_IN_A_ROW = 12;

/**
 * Feeds the model one small run at a time. Urgent jobs go first; jobs of one rank take turns run by run, so
 * that a long document of one tenant does not hold up a short one of another.
 */
export function createEmbeddingQueue(runBatch: RunBatch): EmbeddingQueue {
  const urgentJobs: Job[] = [];
  const patientJobs: Job[] = [];
  let urgentRuns = 0;
  let pump: Promise<void> | null = null;
  let closedBecause: Error | null = null;

  const takeNext = (): Job | undefined => {
    const patientsTurn = urgentRuns >= URGENT_RUNS_IN_A_ROW && patientJobs.length > 0;
    const jobs = urgentJobs.length > 0 && !patientsTurn ? urgentJobs : patientJobs;
    urgentRuns = jobs === urgentJobs ? urgentRuns + 1 : 0;
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

/** Places of texts of similar length together, so that little of a run is padding. */
function planBatches(texts: readonly string[]): number[][] {
  const lengthOf = (place: number): number => texts[place]?.length ?? 0;
  const byLength = texts.map((_, place) => place).sort((a, b) => lengthOf(a) - lengthOf(b));
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const place of byLength) {
    const padded = lengthOf(place) * (batch.length + 1);
    if (batch.length > 0 && (padded > CHARACTERS_PER_RUN || batch.length === TEXTS_PER_RUN)) {
      batches.push(batch);
      batch = [];
    }
    batch.push(place);
  }
  batches.push(batch);
  return batches;
}
