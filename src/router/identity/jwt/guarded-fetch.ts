import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, fetch as undiciFetch } from 'undici';
import { createAddressRanges, parseAddress } from '#app/addresses.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { KeySetFetch } from '#router/identity/jwt/remote-key-set.ts';

/** Special-purpose addresses (RFC 6890 and its registries): nothing that the internet reaches is among them. */
const INTERNAL = createAddressRanges([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]);

const isPublic = (address: string): boolean => parseAddress(address) !== null && !INTERNAL.has(address);

/** Why the URL must not be fetched for a tenant, as far as its text tells; null where nothing is wrong with it. */
export function flawOfPublicUrl(text: string): string | null {
  if (!URL.canParse(text)) return 'must be a URL';
  const url = new URL(text);
  if (url.protocol !== 'https:') return 'must be https';
  if (url.username !== '' || url.password !== '') return 'must hold no credential';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0) return isPublic(host) ? null : 'must not be an internal address';
  const isLocalName = !host.includes('.') || /\.(?:localhost|local|internal|svc|home\.arpa)\.?$/.test(host);
  return isLocalName ? 'must not be an internal name' : null;
}

/** Looks names up as usual, and fails where any of the addresses is internal. */
export function publicLookup(lookup: typeof systemLookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '', 0);
      const [first] = addresses;
      if (first === undefined || !addresses.every(({ address }) => isPublic(address))) {
        return callback(new Error(`${hostname} has an internal address.`), '', 0);
      }
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family);
    });
  };
}

/**
 * To one host, which may have the key sets of many tenants: each has one request under way at most, so slow ones of one tenant do
 * not fill all.
 */
const CONNECTIONS = 32;

/**
 * Fetches what a tenant names: by https, from public addresses. The address is judged where the connection is made, so
 * that a name which changes its address in between changes nothing.
 */
export function createPublicFetch(lookup?: typeof systemLookup): {
  fetch: KeySetFetch;
  close(): Promise<void>;
} {
  const dispatcher = withErrorListener(
    new Agent({ connections: CONNECTIONS, connect: { lookup: publicLookup(lookup) } }),
  );
  return {
    async fetch(url, init) {
      const flaw = flawOfPublicUrl(url);
      if (flaw !== null) throw new Error(`The key set’s URL ${flaw}.`);
      return undiciFetch(url, { ...init, dispatcher });
    },
    close: () => dispatcher.destroy(),
  };
}
