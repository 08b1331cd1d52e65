import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FifoSet } from '#app/fair/fifo-set.ts';
import { maySpare } from '#app/fair/may-spare.ts';

export type FairSemaphoreOptions = Readonly<{
  /** What the places are of, as error messages name it: `connections to the orchestrator`. */
  resource: string;
  /** Places that can be held at once, by all tenants together. */
  capacity: number;
  /**
   * A tenant may hold at most `alpha` times the places that stay free, and always one: alone it gets
   * `capacity * alpha / (1 + alpha)`, and the rest is there at once for a tenant that comes later. `Infinity`: no reserve,
   * for places that are held for milliseconds. See {@link maySpare}.
   */
  alpha?: number;
  /** Calls that may wait at once, of all tenants together. A tenant's own share of them follows the same rule, with an alpha of 1. */
  maxWaiting: number;
  /** Longest wait for a place, milliseconds. */
  maxWaitMs: number;
}>;

/** Gives the place back. Further calls do nothing. */
export type Release = () => void;

export type FairSemaphoreStats = Readonly<{
  capacity: number;
  held: number;
  waiting: number;
  /** Tenants that hold or await a place. */
  tenants: number;
  /** Since the start: calls that got a place, and those that were refused (`tenant_overloaded`, `overloaded`). */
  granted: number;
  refused: number;
}>;

const DEFAULT_ALPHA = 4;
const RETRY_AFTER_MS = 1_000;

type Tenant = { readonly id: string; held: number; readonly waiting: FifoSet<Waiter> };
type Waiter = { grant(): void };

/**
 * Places shared by tenants. A free place goes to the waiting tenant that holds the fewest, among equals to the one that has
 * waited longest since its last place: max-min fairness, so a thousand waiting calls of one tenant delay another's first by
 * one place. A tenant's own calls are served in the order in which they came.
 *
 * A call that holds a place must not wait for another of the same semaphore: all places could be held by calls that do.
 */
export class FairSemaphore {
  readonly #resource: string;
  readonly #capacity: number;
  readonly #alpha: number;
  readonly #maxWaiting: number;
  readonly #maxWaitMs: number;
  readonly #tenants = new Map<string, Tenant>();
  /** Tenants with waiting calls, by the number of places that they hold. */
  readonly #backlogged: FifoSet<Tenant>[] = [];
  /** No backlogged tenant holds fewer places than this. */
  #fewest = 0;
  #held = 0;
  #waiting = 0;
  #granted = 0;
  #refused = 0;

  constructor({ resource, capacity, alpha = DEFAULT_ALPHA, maxWaiting, maxWaitMs }: FairSemaphoreOptions) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError('capacity must be 1 or more.');
    if (!(alpha > 0)) throw new RangeError('alpha must be above 0.');
    this.#resource = resource;
    this.#capacity = capacity;
    this.#alpha = alpha;
    this.#maxWaiting = maxWaiting;
    this.#maxWaitMs = maxWaitMs;
  }

  /**
   * Resolves with the way to give the place back. Throws the signal's reason; `tenant_overloaded` when the tenant's own calls
   * are in the way; `overloaded` when those of others are. A call that leaves frees its place in the queue at once.
   */
  async acquire(tenantId: string, signal: AbortSignal): Promise<Release> {
    signal.throwIfAborted();
    const tenant = this.#tenants.get(tenantId) ?? { id: tenantId, held: 0, waiting: new FifoSet<Waiter>() };
    // A call of a tenant that waits goes behind those that wait already.
    if (tenant.waiting.size === 0 && this.#mayHoldOneMore(tenant)) {
      this.#tenants.set(tenantId, tenant);
      this.#hold(tenant);
    } else {
      if (!this.#mayWait(tenant)) {
        const isOwn = this.#waiting < this.#maxWaiting || this.#holdsItsShare(tenant);
        throw this.#refusal(isOwn, `Too many calls wait for ${this.#resource}`);
      }
      this.#tenants.set(tenantId, tenant);
      await this.#wait(tenant, signal);
    }
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      this.#release(tenant);
    };
    if (signal.aborted) {
      release();
      throw signal.reason;
    }
    return release;
  }

  /** Holds a place while the work is under way. */
  async run<Result>(tenantId: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const release = await this.acquire(tenantId, signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  get stats(): FairSemaphoreStats {
    return {
      capacity: this.#capacity,
      held: this.#held,
      waiting: this.#waiting,
      tenants: this.#tenants.size,
      granted: this.#granted,
      refused: this.#refused,
    };
  }

  /** What each tenant that is here holds and awaits. */
  *byTenant(): Generator<Readonly<{ tenantId: string; held: number; waiting: number }>, void> {
    for (const { id, held, waiting } of this.#tenants.values())
      yield { tenantId: id, held, waiting: waiting.size };
  }

  #mayHoldOneMore({ held }: Pick<Tenant, 'held'>): boolean {
    return maySpare({ own: held, free: this.#capacity - this.#held, alpha: this.#alpha });
  }

  #mayWait({ waiting }: Tenant): boolean {
    return maySpare({ own: waiting.size, free: this.#maxWaiting - this.#waiting, alpha: 1 });
  }

  #hold(tenant: Tenant): void {
    tenant.held += 1;
    this.#held += 1;
    this.#granted += 1;
  }

  #release(tenant: Tenant): void {
    if (tenant.waiting.size > 0) {
      this.#backlogged[tenant.held]?.delete(tenant);
      this.#enqueue(tenant, tenant.held - 1);
    }
    tenant.held -= 1;
    this.#held -= 1;
    this.#forgetIfGone(tenant);
    this.#grantFreePlaces();
  }

  #wait(tenant: Tenant, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown) => {
        this.#leave(tenant, waiter);
        end();
        reject(reason);
      };
      const onAbort = () => leave(signal.reason);
      const timer = setTimeout(() => {
        const what = `No place for ${this.#maxWaitMs} ms among ${this.#resource}`;
        leave(this.#refusal(this.#holdsItsShare(tenant), what));
      }, this.#maxWaitMs);
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        grant() {
          end();
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      tenant.waiting.add(waiter);
      this.#waiting += 1;
      if (tenant.waiting.size === 1) this.#enqueue(tenant, tenant.held);
    });
  }

  #leave(tenant: Tenant, waiter: Waiter): void {
    if (!tenant.waiting.delete(waiter)) return;
    this.#waiting -= 1;
    if (tenant.waiting.size === 0) this.#backlogged[tenant.held]?.delete(tenant);
    this.#forgetIfGone(tenant);
  }

  /** Constant time but for the step to the next count of held places at which a tenant waits. */
  #grantFreePlaces(): void {
    while (this.#waiting > 0) {
      while ((this.#backlogged[this.#fewest]?.size ?? 0) === 0) this.#fewest += 1;
      // Whoever holds more may have one even less.
      if (!this.#mayHoldOneMore({ held: this.#fewest })) return;
      const tenant = this.#backlogged[this.#fewest]?.shift();
      const waiter = tenant?.waiting.shift();
      if (tenant === undefined || waiter === undefined) return;
      this.#waiting -= 1;
      this.#hold(tenant);
      if (tenant.waiting.size > 0) this.#enqueue(tenant, tenant.held);
      waiter.grant();
    }
  }

  #enqueue(tenant: Tenant, held: number): void {
    this.#backlogged[held] ??= new FifoSet();
    this.#backlogged[held].add(tenant);
    this.#fewest = Math.min(this.#fewest, held);
  }

  #forgetIfGone({ id, held, waiting }: Tenant): void {
    if (held === 0 && waiting.size === 0) this.#tenants.delete(id);
  }

  #holdsItsShare({ held }: Tenant): boolean {
    // A place that is free and not given is kept from it by the threshold.
    return this.#held < this.#capacity || held * this.#tenants.size >= this.#capacity;
  }

  #refusal(isOwn: boolean, what: string): BulkheadError {
    this.#refused += 1;
    const options = { retryAfterMs: RETRY_AFTER_MS };
    return isOwn
      ? new BulkheadError(
          'tenant_overloaded',
          `${what}: the tenant’s own calls hold its share. Send fewer at once.`,
          options,
        )
      : new BulkheadError('overloaded', `${what}: all are in use. Try again later.`, options);
  }
}
