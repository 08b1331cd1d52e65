import { expect, test } from 'vitest';
import { createAddressRanges } from '#app/addresses.ts';
import { clientAddress } from '#router/identity/client-address.ts';

const proxies = createAddressRanges(['10.0.0.0/8', '2001:db8:ffff::/48']);

test.each([
  ['no proxy, no header', '203.0.113.9', undefined, '203.0.113.9'],
  ['a stranger who writes the header', '203.0.113.9', '192.0.2.1', '203.0.113.9'],
  ['a proxy', '10.0.0.1', '192.0.2.1', '192.0.2.1'],
  ['a proxy without the header', '10.0.0.1', undefined, '10.0.0.1'],
  ['a proxy as IPv4 in IPv6', '::ffff:10.0.0.1', '192.0.2.1', '192.0.2.1'],
  ['a proxy in IPv6', '2001:db8:ffff::1', '2001:db8::7', '2001:db8::7'],
  ['what the client wrote before its proxy did', '10.0.0.1', '198.51.100.1, 192.0.2.1', '192.0.2.1'],
  ['two proxies', '10.0.0.1', '198.51.100.1, 192.0.2.1, 10.0.0.2', '192.0.2.1'],
  ['proxies alone', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['the header twice', '10.0.0.1', ['198.51.100.1', '192.0.2.1'], '192.0.2.1'],
  ['ports', '10.0.0.1', '192.0.2.1:4711', '192.0.2.1'],
  ['ports of IPv6', '10.0.0.1', '[2001:db8::7]:4711', '2001:db8::7'],
  ['what is no address', '10.0.0.1', 'unknown', null],
  ['an empty hop', '10.0.0.1', '192.0.2.1,', null],
  ['an empty header', '10.0.0.1', '', null],
  ['junk further left than anybody looks', '10.0.0.1', 'unknown, 192.0.2.1', '192.0.2.1'],
  ['more hops than there are', '10.0.0.1', Array(50).fill('10.0.0.2').join(','), '10.0.0.2'],
  ['a socket without an address', undefined, '192.0.2.1', null],
])('%s', (_what, socketAddress, forwardedFor, expected) => {
  expect(clientAddress({ socketAddress, forwardedFor }, proxies)).toBe(expected);
});

test('nobody is trusted where no proxy is listed', () => {
  const request = { socketAddress: '127.0.0.1', forwardedFor: '192.0.2.1' };
  expect(clientAddress(request, createAddressRanges([]))).toBe('127.0.0.1');
});
