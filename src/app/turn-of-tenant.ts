import { FifoSet } from '#app/fair/fifo-set.ts';

/** Work that waits for its next slice, by tenant. */
const waiting = new Map<string, FifoSet<() => void>>();
/** Tenants with work that waits; the one that has waited longest is the first. */
const backlogged = new FifoSet<string>();
let isScheduled = false;

/**
 * Resolves when work of the tenant that takes long may go on for some milliseconds: once in a turn of the event loop, for one
 * piece of work. Tenants take turns, and so does the work of each. With `setImmediate` alone every piece goes on in every turn:
 * twenty long texts of one tenant would delay every other request by twenty slices. Of the process, as the event loop is.
 */
export function turnOfTenant(tenantId: string): Promise<void> {
  return new Promise((resolve) => {
    const own = waiting.get(tenantId) ?? new FifoSet();
    waiting.set(tenantId, own);
    own.add(resolve);
    backlogged.add(tenantId);
    schedule();
  });
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(run);
}

function run(): void {
  isScheduled = false;
  const tenantId = backlogged.shift();
  if (tenantId === undefined) return;
  const own = waiting.get(tenantId);
  const next = own?.shift();
  if (own !== undefined && own.size > 0) backlogged.add(tenantId);
  else waiting.delete(tenantId);
  if (backlogged.size > 0) schedule();
  next?.();
}
