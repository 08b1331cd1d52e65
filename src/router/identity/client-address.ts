import type { AddressRanges } from '#app/addresses.ts';
import { parseAddress } from '#app/addresses.ts';

/** More hops than any chain of proxies has; who sends more hides something. */
const MAX_HOPS = 32;

/**
 * Where a request comes from: the address of its socket, or, behind trusted proxies, the last address of
 * `X-Forwarded-For` that none of them has. What stands further left anybody can have written. null where a trusted
 * proxy names something that is no address.
 */
export function clientAddress(
  request: { socketAddress: string | undefined; forwardedFor: string | string[] | undefined },
  trustedProxies: AddressRanges,
): string | null {
  const { socketAddress, forwardedFor } = request;
  if (socketAddress === undefined) return null;
  if (forwardedFor === undefined || !trustedProxies.has(socketAddress)) return socketAddress;
  const hops = [forwardedFor].flat().join(',').split(',').slice(-MAX_HOPS).map(withoutPort);
  let address = socketAddress;
  for (const hop of hops.reverse()) {
    if (parseAddress(hop) === null) return null;
    address = hop;
    if (!trustedProxies.has(hop)) break;
  }
  return address;
}

/** Some proxies write `192.0.2.7:4711` or `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const [, dotted, bracketed] = /^(?:(\d+\.\d+\.\d+\.\d+)|\[([^\]]*)\])(?::\d{1,5})?$/.exec(hop.trim()) ?? [];
  return dotted ?? bracketed ?? hop.trim();
}
