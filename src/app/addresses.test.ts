import { describe, expect, it } from 'vitest';
import { createAddressRanges, parseAddress, parseRange } from '#app/addresses.ts';

describe('an address', () => {
  it.each([
    ['::', 0n],
    ['::1', 1n],
    ['1::', 1n << 112n],
    ['1:2:3:4:5:6:7:8', 0x00010002000300040005000600070008n],
    ['1::8', (1n << 112n) + 8n],
    ['10.1.2.3', 0xffff0a010203n],
    ['::ffff:10.1.2.3', 0xffff0a010203n],
    ['::FFFF:0a01:0203', 0xffff0a010203n],
    ['64:ff9b::10.1.2.3', (0x64ff9bn << 96n) + 0x0a010203n],
  ])('%s is a number', (text, number) => expect(parseAddress(text)).toBe(number));

  it.each([
    '',
    'x',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    ':::',
    '1::2::3',
    'fe80::1%eth0',
    ' 1.2.3.4',
    '1.2.3.4:80',
    '[::1]',
  ])('%j is none', (text) => expect(parseAddress(text)).toBeNull());
});

describe('a range', () => {
  it.each([
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '10.0.0.0/08',
    'all',
    '/8',
    '10.0.0.0/ 8',
  ])('%j is none', (text) => expect(parseRange(text)).toBeNull());

  it.each([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.9.9.9/8', '10.1.1.1', true],
    ['10.0.0.0/8', '::ffff:10.1.1.1', true],
    ['10.0.0.0/8', '::a01:101', false],
    ['::ffff:10.0.0.0/104', '10.1.1.1', true],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.4/30', '192.0.2.7', true],
    ['192.0.2.4/30', '192.0.2.8', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['2001:db8::/33', '2001:db8:8000::', false],
    ['10.0.0.0/8', 'not an address', false],
    ['10.0.0.0/8', '', false],
  ])('%s holds %s: %s', (range, address, held) =>
    expect(createAddressRanges([range]).has(address)).toBe(held),
  );

  it.each([
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.1.0.0/16', '10.0.0.0/8', false],
    ['10.0.0.0/8', '10.0.0.0/8', true],
    ['10.0.0.0/8', '10.1.1.1', true],
    ['10.0.0.0/8', '::/0', false],
    ['10.0.0.0/8', 'nonsense', false],
  ])('%s covers %s: %s', (outer, inner, covered) =>
    expect(createAddressRanges([outer]).covers(inner)).toBe(covered),
  );
});
