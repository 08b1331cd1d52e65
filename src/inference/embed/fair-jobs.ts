/** A job whose batches wait for the model. */
export type FairJob = Readonly<{ tenantId: string; urgent: boolean }>;

/**
 * How much more an urgent job's tenant may have been given than a tenant that waits with patient work, bytes of text: some
 * questions in a row, 150 ms of one thread. Beyond it, urgency gives no precedence over other tenants.
 */
const URGENT_CREDIT = 4_800;
/** Of so many batches in a row one is patient where one waits, so that a tenant's own questions do not stop its indexing. */
const URGENT_IN_A_ROW = 12;

type Rank<Job> = Map<string, Set<Job>>;

/**
 * Jobs in the order in which their next batch is due. Urgent ones go first. Among tenants the one that was given the least is
 * next, by bytes of text, as what a batch costs depends on them; a tenant that comes back starts where the others are
 * (start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996). So a tenant that embeds all the time, by questions or by
 * documents, leaves each other tenant that does so an equal share, and answers to a rare question come at once.
 */
export class FairJobs<Job extends FairJob> {
  /** Tenants that wait, least recently served first; and of each its jobs, in the same order. */
  readonly #urgent: Rank<Job> = new Map();
  readonly #patient: Rank<Job> = new Map();
  /** Bytes that each waiting tenant was given, and began with: {@link #now} at that time. */
  readonly #given = new Map<string, number>();
  /** What the tenant had been given that was served last. */
  #now = 0;
  #urgentInARow = 0;

  /** Behind the other jobs of its tenant. */
  add(job: Job): void {
    const { tenantId } = job;
    this.#given.set(tenantId, Math.max(this.#given.get(tenantId) ?? 0, this.#now));
    const rank = this.#rankOf(job);
    const own = rank.get(tenantId);
    if (own === undefined) rank.set(tenantId, new Set([job]));
    else own.add(job);
  }

  /** The job whose next batch is due; it stays until it is removed. */
  next(): Job | undefined {
    const urgent = this.#leastGiven(this.#urgent);
    const patient = this.#leastGiven(this.#patient);
    const isPatientDue =
      urgent === undefined ||
      (patient !== undefined &&
        (this.#urgentInARow >= URGENT_IN_A_ROW ||
          this.#givenTo(urgent) - this.#givenTo(patient) > URGENT_CREDIT));
    const [rank, tenantId] = isPatientDue ? [this.#patient, patient] : [this.#urgent, urgent];
    if (tenantId === undefined) return undefined;
    const [job] = rank.get(tenantId) ?? [];
    return job;
  }

  /** Notes that a batch of the job is taken; tenant and job go behind others that were given as much. */
  charge(job: Job, bytes: number): void {
    const { tenantId } = job;
    const given = this.#givenTo(tenantId);
    this.#now = Math.max(this.#now, given);
    this.#given.set(tenantId, given + bytes);
    this.#urgentInARow = job.urgent ? this.#urgentInARow + 1 : 0;
    const rank = this.#rankOf(job);
    const own = rank.get(tenantId);
    if (own === undefined) return;
    own.delete(job);
    own.add(job);
    rank.delete(tenantId);
    rank.set(tenantId, own);
  }

  remove(job: Job): void {
    const { tenantId } = job;
    const rank = this.#rankOf(job);
    const own = rank.get(tenantId);
    if (own?.delete(job) !== true || own.size > 0) return;
    rank.delete(tenantId);
    if (!this.#urgent.has(tenantId) && !this.#patient.has(tenantId)) this.#given.delete(tenantId);
  }

  all(): Job[] {
    return [...this.#urgent.values(), ...this.#patient.values()].flatMap((own) => [...own]);
  }

  #rankOf({ urgent }: Job): Rank<Job> {
    return urgent ? this.#urgent : this.#patient;
  }

  #givenTo(tenantId: string): number {
    return this.#given.get(tenantId) ?? this.#now;
  }

  #leastGiven(rank: Rank<Job>): string | undefined {
    let least: string | undefined;
    for (const tenantId of rank.keys()) {
      if (least === undefined || this.#givenTo(tenantId) < this.#givenTo(least)) least = tenantId;
    }
    return least;
  }
}
