import { JudgeFailure } from '#router/judges/judge.ts';

/** Calls of one tenant that may wait for a place; more is a fault, not a queue. */
const MAX_WAITING = 256;

/** So many places for each tenant, in the order in which they are asked for: one tenant’s calls keep no other’s waiting. */
export class TenantPlaces {
  readonly #places: number;
  readonly #tenants = new Map<string, { inside: number; waiting: Set<() => void> }>();

  constructor(places: number) {
    this.#places = places;
  }

  /** Resolves with what gives the place back, to be called once. Throws the signal’s reason. */
  async enter(tenantId: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const tenant = this.#tenants.get(tenantId) ?? { inside: 0, waiting: new Set() };
    this.#tenants.set(tenantId, tenant);
    if (tenant.inside < this.#places) tenant.inside += 1;
    else if (tenant.waiting.size >= MAX_WAITING) throw new JudgeFailure('Too many calls wait for the judge.');
    else await this.#wait(tenant.waiting, signal);
    return () => {
      const [next] = tenant.waiting;
      if (next !== undefined) {
        // The place goes over to whoever has waited longest.
        tenant.waiting.delete(next);
        next();
        return;
      }
      tenant.inside -= 1;
      if (tenant.inside === 0) this.#tenants.delete(tenantId);
    };
  }

  #wait(waiting: Set<() => void>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        waiting.delete(onPlace);
        reject(signal.reason);
      };
      const onPlace = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      waiting.add(onPlace);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
