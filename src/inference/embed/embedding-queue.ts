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

type Job = {
  urgent: boolean;
  tenantId: string;
  texts: readonly string[];
  /** Places in `texts` that no thread has taken yet, the next batch last. */
  batches: number[][];
  vectors: Float32Array[];
  missing: number;
  settle: (error: unknown) => void;
};

/**
 * A batch has about this many characters, or one text: some 30 ms of work. A query waits for one batch at
 * most; shorter batches would wait for messages between threads more than for the model. Urgent jobs are cut
 * finer, so that every thread has a share of one.
 */
const CHARACTERS_PER_BATCH = { patient: 1_200, urgent: 400 };
const TEXTS_PER_BATCH = 32;
/** Under an endless load of queries, one batch in this many is still a passage's, so that indexing ends. */
const URGENT_BATCHES_IN_A_ROW = 12;

/**
 * Feeds the model's threads one small batch each at a time. Urgent jobs go first; among those of one rank tenants take turns
 * batch by batch, and so do the jobs of each: neither a long document nor a hundred questions of one tenant hold up another.
 */
export function createEmbeddingQueue(threads: readonly RunBatch[]): EmbeddingQueue {
  const urgentJobs = new TenantJobs();
  const patientJobs = new TenantJobs();
  const idle = [...threads];
  const busy = new Set<Promise<void>>();
  let urgentBatches = 0;
  let closedBecause: Error | null = null;

  const takeJob = (): Job | undefined => {
    const patientsTurn = urgentBatches >= URGENT_BATCHES_IN_A_ROW && !patientJobs.isEmpty;
    const jobs = !urgentJobs.isEmpty && !patientsTurn ? urgentJobs : patientJobs;
    urgentBatches = jobs === urgentJobs ? urgentBatches + 1 : 0;
    return jobs.take();
  };

  const remove = (job: Job): void => {
    job.batches.length = 0;
    (job.urgent ? urgentJobs : patientJobs).remove(job);
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
      const job = takeJob();
      const places = job?.batches.pop();
      if (job === undefined || places === undefined) return;
      if (job.batches.length > 0) (job.urgent ? urgentJobs : patientJobs).add(job);
      const thread = idle.pop();
      if (thread === undefined) return;
      const running = run(thread, job, places).then(() => {
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
          batches: planBatches(texts, urgent ? CHARACTERS_PER_BATCH.urgent : CHARACTERS_PER_BATCH.patient),
          vectors: [],
          missing: texts.length,
          settle(error) {
            signal?.removeEventListener('abort', onAbort);
            if (error === null) resolve(job.vectors);
            else reject(error);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        (urgent ? urgentJobs : patientJobs).add(job);
        dispatch();
      });
    },
    async close(reason) {
      closedBecause = reason;
      for (const job of [...urgentJobs.all(), ...patientJobs.all()]) {
        remove(job);
        job.settle(reason);
      }
      await Promise.all(busy);
    },
  };
}

/** Jobs of one rank: the tenant that has waited longest is the next, with the job of its own that has. */
class TenantJobs {
  readonly #tenants = new Map<string, Set<Job>>();

  get isEmpty(): boolean {
    return this.#tenants.size === 0;
  }

  add(job: Job): void {
    const own = this.#tenants.get(job.tenantId);
    if (own === undefined) this.#tenants.set(job.tenantId, new Set([job]));
    else own.add(job);
  }

  /** Takes a job out. */
  take(): Job | undefined {
    const [first] = this.#tenants;
    if (first === undefined) return undefined;
    const [tenantId, own] = first;
    const [job] = own;
    this.#tenants.delete(tenantId);
    if (job !== undefined) own.delete(job);
    // Behind the others.
    if (own.size > 0) this.#tenants.set(tenantId, own);
    return job;
  }

  remove(job: Job): void {
    const own = this.#tenants.get(job.tenantId);
    if (own?.delete(job) === true && own.size === 0) this.#tenants.delete(job.tenantId);
  }

  all(): Job[] {
    return [...this.#tenants.values()].flatMap((own) => [...own]);
  }
}

/** In order; the result is a stack, so its last batch holds the first texts. */
function planBatches(texts: readonly string[], charactersPerBatch: number): number[][] {
  const batches: number[][] = [];
  let batch: number[] = [];
  let characters = 0;
  for (const [place, { length }] of texts.entries()) {
    if (batch.length > 0 && (characters + length > charactersPerBatch || batch.length === TEXTS_PER_BATCH)) {
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
