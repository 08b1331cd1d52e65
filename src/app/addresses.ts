import { isIP, isIPv4 } from 'node:net';

const BITS = 128;
/** IPv4 addresses have their place in IPv6, `::ffff:0:0/96`: one that comes in either spelling is the same. */
const MAPPED = 0xffffn << 32n;
const MAPPED_BITS = 96;

/** All addresses that share their first `bits` bits with `first`. */
type Range = Readonly<{ first: bigint; bits: number }>;

/** An address as a number of 128 bits; null for what is no address. Zones (`fe80::1%eth0`) are refused. */
export function parseAddress(text: string): bigint | null {
  if (text.includes('%')) return null;
  switch (isIP(text)) {
    case 4:
      return MAPPED + numberOfIPv4(text);
    case 6:
      return numberOfIPv6(text);
    default:
      return null;
  }
}

const numberOfIPv4 = (text: string): bigint =>
  text.split('.').reduce((number, part) => (number << 8n) + BigInt(part), 0n);

/** The text is an address, as `isIP` has seen. */
function numberOfIPv6(text: string): bigint {
  const dotted = /[^:]+$/.exec(text)?.[0] ?? '';
  const hexadecimal = isIPv4(dotted) ? text.slice(0, -dotted.length) + groupsOfIPv4(dotted) : text;
  const [head = '', tail] = hexadecimal.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce(
    (number, group) => (number << 16n) + BigInt(`0x${group}`),
    0n,
  );
}

function groupsOfIPv4(text: string): string {
  const number = numberOfIPv4(text);
  return `${(number >> 16n).toString(16)}:${(number & 0xffffn).toString(16)}`;
}

/** A CIDR range, or an address as the range of itself; null for anything else. Bits beyond the prefix count as zero. */
export function parseRange(text: string): Range | null {
  const [address = '', length, ...rest] = text.split('/');
  const number = parseAddress(address);
  if (number === null || rest.length > 0) return null;
  if (length === undefined) return { first: number, bits: BITS };
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(length)) return null;
  const bits = Number(length) + (isIPv4(address) ? MAPPED_BITS : 0);
  return bits > BITS ? null : { first: prefixOf(number, bits) << BigInt(BITS - bits), bits };
}

const prefixOf = (number: bigint, bits: number): bigint => number >> BigInt(BITS - bits);

const covers = (outer: Range, inner: Range): boolean =>
  inner.bits >= outer.bits && prefixOf(inner.first, outer.bits) === prefixOf(outer.first, outer.bits);

export interface AddressRanges {
  /** Whether one of the ranges holds the address. False for what is no address. */
  has(address: string): boolean;
  /** Whether one of the ranges holds the whole of another. */
  covers(range: string): boolean;
}

/** Throws for a text that is no range. */
export function createAddressRanges(texts: readonly string[]): AddressRanges {
  const ranges = texts.map((text) => {
    const range = parseRange(text);
    if (range === null) throw new Error(`${text} is no address range.`);
    return range;
  });
  const anyCovers = (inner: Range | null) => inner !== null && ranges.some((range) => covers(range, inner));
  return {
    has(address) {
      const first = parseAddress(address);
      return anyCovers(first === null ? null : { first, bits: BITS });
    },
    covers: (range) => anyCovers(parseRange(range)),
  };
}
