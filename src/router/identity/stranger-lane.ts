import { hash } from 'node:crypto';
import { parseAddress } from '#app/addresses.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import { RecentMap } from '#app/recent-map.ts';

/** Credentials that are checked at once and were not proven a moment ago. One address alone may have four fifths of them. */
const PLACES = 32;
/**
 * So long the place of a credential that is not valid stays taken, milliseconds. One address has a thousand of them checked a
 * second at most, a fourth of what the event loop can answer; a valid credential gives its place back at once.
 */
const HELD_AFTER_REFUSAL_MS = 25;
const MAX_WAITING = 2_048;
const MAX_WAIT_MS = 3_000;
/** Credentials that were valid when they were checked last: they need no turn, so no stranger of their address is in their way. */
const MIN_PROVEN = 10_000;
const NETWORK_BITS = 64n;
const never = new AbortController().signal;

/** Checks credentials of callers that nothing is known of yet. */
export interface StrangerLane {
  /**
   * Runs the check of a credential, in its address's turn where it was not valid the last time. Throws what the check throws, and
   * `rate_limit_exceeded` where too many of the address's credentials were not valid.
   */
  check<Result>(credential: string, address: string | null, check: () => Promise<Result>): Promise<Result>;
}

/**
 * Places for credentials by client address, fair between addresses. Checking what strangers send costs the database and the event
 * loop as much as a request does, and no limit of a tenant applies: 100 connections with unknown keys slowed everything
 * sevenfold.
 */
export function createStrangerLane(): StrangerLane {
  const places = new FairSemaphore({
    resource: 'checks of credentials',
    capacity: PLACES,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
  });

  const proven = new RecentMap<string, true>(MIN_PROVEN);

  async function enter(address: string | null): Promise<() => void> {
    try {
      return await places.acquire(networkOf(address), never);
    } catch (error) {
      if (!(error instanceof BulkheadError)) throw error;
      throw new BulkheadError(
        'rate_limit_exceeded',
        'Too many credentials that are not valid were sent. Send fewer at once.',
        { cause: error, ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }) },
      );
    }
  }

  return {
    async check(credential, address, check) {
      const name = hash('sha256', credential, 'base64url');
      const release = proven.get(name) === true ? null : await enter(address);
      try {
        const result = await check();
        release?.();
        if (release !== null) proven.set(name, true);
        return result;
      } catch (error) {
        if (error instanceof BulkheadError && error.code === 'invalid_credential') proven.delete(name);
        if (release !== null) setTimeout(release, HELD_AFTER_REFUSAL_MS).unref();
        throw error;
      }
    },
  };
}

/** The address, or of an IPv6 address its network: a host has 2^64 of them. */
function networkOf(address: string | null): string {
  const number = address === null ? null : parseAddress(address);
  if (number === null) return 'unknown';
  return number >> 32n === 0xffffn ? String(number) : `${number >> NETWORK_BITS}/64`;
}
