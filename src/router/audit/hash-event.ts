import { hash } from 'node:crypto';
import type { AuditDetails, AuditEvent } from '#app/schemas/audit-event.ts';

/** What an event's first link follows. */
export const NO_HASH = '0'.repeat(64);

/** The chain of what belongs to no tenant; no tenant id looks like this. */
export const OPERATORS_CHAIN = '*';

/**
 * SHA-256, hex, over a canonical encoding: a JSON list of every field in a fixed order, behind a version, with the
 * details' keys sorted. Two events that differ anywhere have different encodings.
 */
export function hashOfEvent(chain: string, event: Omit<AuditEvent, 'hash'>): string {
  const encoding = JSON.stringify([
    'bulkhead-audit-1',
    chain,
    event.seq,
    event.at,
    event.actor,
    event.tenant_id,
    event.action,
    event.target,
    event.outcome,
    sortedEntries(event.details),
    event.previous_hash,
  ]);
  return hash('sha256', encoding, 'hex');
}

const sortedEntries = (details: AuditDetails) =>
  Object.keys(details)
    .sort()
    .map((key) => [key, details[key]]);
