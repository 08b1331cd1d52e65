import type { AuditEvent, AuditVerification } from '#app/schemas/audit-event.ts';
import { hashOfEvent, NO_HASH } from '#router/audit/hash-event.ts';

/** Where a check stands: the last link that held. */
export type ChainPosition = Readonly<{ seq: number; hash: string }>;

export const CHAIN_START: ChainPosition = { seq: 0, hash: NO_HASH };

/** Follows the chain over the next events, in order; names the first link that does not hold. null: no event at all. */
export function followChain(
  chain: string,
  from: ChainPosition,
  events: readonly (AuditEvent | null)[],
): { reached: ChainPosition; broken: AuditVerification['broken'] } {
  let reached = from;
  for (const event of events) {
    const seq = reached.seq + 1;
    if (event === null) return { reached, broken: { seq, reason: 'content' } };
    if (event.seq !== seq) return { reached, broken: { seq, reason: 'missing' } };
    if (event.previous_hash !== reached.hash) return { reached, broken: { seq, reason: 'link' } };
    if (hashOfEvent(chain, event) !== event.hash) return { reached, broken: { seq, reason: 'content' } };
    reached = { seq, hash: event.hash };
  }
  return { reached, broken: null };
}
