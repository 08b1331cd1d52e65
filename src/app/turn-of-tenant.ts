/** Work that waits for its next slice, by tenant; the tenant that has waited longest is the first. */
const waiting = new Map<string, (() => void)[]>();
let isScheduled = false;

/**
 * Resolves when work of the tenant that takes long may go on for some milliseconds: once in a turn of the event loop, for one
 * piece of work. Tenants take turns, and so does the work of each. With `setImmediate` alone every piece goes on in every turn:
 * twenty long texts of one tenant would keep everybody waiting twenty slices long. Of the process, as the event loop is.
 */
export function turnOfTenant(tenantId: string): Promise<void> {
  return new Promise((resolve) => {
    const own = waiting.get(tenantId);
    if (own === undefined) waiting.set(tenantId, [resolve]);
    else own.push(resolve);
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
  const [first] = waiting;
  if (first === undefined) return;
  const [tenantId, [next, ...others]] = first;
  waiting.delete(tenantId);
  if (others.length > 0) waiting.set(tenantId, others);
  if (waiting.size > 0) schedule();
  next?.();
}
