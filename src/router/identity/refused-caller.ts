import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';

/** Whose credential it was, good in itself, with which authentication was refused. */
export type RefusedCaller = Readonly<{ tenantId: TenantId | null; actor: string }>;

const callers = new WeakMap<BulkheadError, RefusedCaller>();

/** Keeps beside an error who it was refused to: for the audit, and never rendered. Returns the error. */
export function refusedTo(caller: RefusedCaller, error: BulkheadError): BulkheadError {
  callers.set(error, caller);
  return error;
}

export const callerBehind = (error: BulkheadError): RefusedCaller | null => callers.get(error) ?? null;
