import { describe, expect, test } from 'vitest';
import { ibanLength, passesIbanCheck } from '#router/guardrails/detectors/pii/checksums.ts';
import { detectStructuredPii } from '#router/guardrails/detectors/pii/detect-structured.ts';

const CARD = '4111111111111111';
const IBAN = 'DE89370400440532013000';
const found = (text: string) =>
  detectStructuredPii(text)
    .filter(({ kind }) => kind !== 'url')
    .map(({ kind, start, end }) => `${kind} ${text.slice(start, end)}`);

describe('as people, forms and programs write it', () => {
  test.each([
    ...[' ', '-', '.', '/', '_', '  '].map((sign) => ['4111', '1111', '1111', '1111'].join(sign)),
    '4111–1111–1111–1111',
    '4111+1111+1111+1111',
    '3782.822463.10005',
    '4111 1111-1111 1111',
    '4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1',
    '٤١١١١١١١١١١١١١١١',
    '४१११११११११११११११',
  ])('a card: %s', (card) => {
    expect(found(`Charge ${card}, please.`)).toEqual([`card_number ${card}`]);
  });

  test.each([
    `card=${CARD}`,
    `https://example.org/pay?card=${CARD}&a=1`,
    `https://example.org/pay?a%3D1%26card%3D${CARD}`,
    `{"card":${CARD}}`,
    `$${CARD}`,
    `-${CARD}`,
    `**${CARD}**`,
    `card4111111111111111`,
    `cc${CARD}x`,
    `${CARD} 12/27 123`,
    `${CARD}.00`,
  ])('a card within: %s', (text) => {
    expect(found(text)).toContain(`card_number ${CARD}`);
  });

  test('with another last digit it is none, and no phone either', () => {
    for (const digit of [0, 2, 3, 4, 5, 6, 7, 8, 9]) expect(found(`4111 1111 1111 111${digit}`)).toEqual([]);
  });

  test.each([
    'DE89 3704 0044 0532 0130 00',
    'DE89.3704.0044.0532.0130.00',
    'DE89-3704-0044-0532-0130-00',
    'DE89+3704+0044+0532+0130+00',
    'DE89  3704  0044  0532  0130  00',
    'NO93 8601 1117 947',
    'BE68 5390 0754 7034',
    'MT84 MALT 0110 0001 2345 MTLC AST0 01S',
    'LC55 HEMM 0001 0001 0012 0012 0002 3015',
    'RU03 0445 2522 5408 1781 0538 0913 1041 9',
  ])('an IBAN: %s', (iban) => {
    expect(found(`Account ${iban}, thanks`)).toEqual([`iban ${iban}`]);
    expect(found(`Account ${iban.toLowerCase()} bitte heute`)).toEqual([`iban ${iban.toLowerCase()}`]);
  });

  test.each([`IBAN${IBAN}`, `iban_${IBAN}`, `iban%3D${IBAN}&x`, `{"iban":"${IBAN}"}`])(
    'an IBAN within: %s',
    (text) => {
      expect(found(text)).toContain(`iban ${IBAN}`);
    },
  );

  test('of every country: its length and its check digits, and no other', () => {
    const countries = Array.from({ length: 26 * 26 }, (_, index) =>
      String.fromCharCode(65 + Math.floor(index / 26), 65 + (index % 26)),
    );
    let known = 0;
    for (const country of countries) {
      const length = ibanLength(country);
      if (length === undefined) continue;
      known++;
      const account = '12345678901234567890123456789'.slice(0, length - 4);
      const check = Array.from({ length: 97 }, (_, number) => String(number + 2).padStart(2, '0')).find(
        (digits) => passesIbanCheck(`${country}${digits}${account}`),
      );
      const iban = `${country}${check}${account}`;
      expect(found(`to ${iban} now`)).toContain(`iban ${iban}`);
      expect(found(`to ${iban.slice(0, -1)} now`)).not.toContain(`iban ${iban.slice(0, -1)}`);
      const other = `${iban.slice(0, -1)}${(Number(iban.at(-1)) + 1) % 10}`;
      expect(found(`to ${other} now`)).not.toContain(`iban ${other}`);
    }
    expect(known).toBeGreaterThan(80);
  });

  test.each([
    '219-09-9999',
    'SSN 219 09 9999',
    'ssn: 219.09.9999',
    'ssn 219/09/9999',
    'SSN#219-09-9999',
    'ssn=219-09-9999',
    'ssn%3D219-09-9999',
    '{"ssn":219099999}',
    'ssn_219099999',
    '219–09–9999',
    '219‑09‑9999',
  ])('a social security number: %s', (text) => {
    expect(found(text).filter((line) => line.startsWith('ssn'))).toHaveLength(1);
  });

  test.each([
    'a.b+c@mail.example.org',
    'jörg@müller.example.de',
    'joerg@xn--mller-kva.de',
    'иван@пример.рф',
    'x@example.xn--p1ai',
    '"john doe"@example.org',
    '_x@example.org',
    '+x@example.org',
    'ann%40example.org',
    'ann&#64;example.org',
    'ann (at) example (dot) org',
    'ann[at]example.org',
    'a..b@example.org',
    `${'a'.repeat(64)}@example.org`,
  ])('an address of mail: %s', (email) => {
    expect(found(`to ${email}, now`)).toEqual([`email ${email}`]);
  });

  test.each([
    '+14155550132',
    '0049 30 901820',
    '+49 (0) 30 901820',
    '415–555–0132',
    '415‑555‑0132',
    '415-555-0132 ext. 12',
    '01 42 68 53 00',
    '030/901820',
    '(02) 9374 4000',
    '+55 (11) 91234-5678',
    '٠١٠٠١٢٣٤٥٦٧',
    '%2B4930901820',
  ])('a phone: %s', (phone) => {
    expect(found(`Call ${phone}, please`)).toEqual([`phone ${phone}`]);
  });

  test.each([
    ['phone_+4930901820', '+4930901820'],
    ['phone=+4930901820', '+4930901820'],
    ['#+4930901820', '+4930901820'],
    ['tel:+4930901820', '4930901820'],
    ['https://wa.me/4930901820', '4930901820'],
    ['{"phone":4155550132}', '4155550132'],
    ['Ann said: 4155550132, then she hung up', '4155550132'],
    ['Not paid; 4155550132; Oslo', '4155550132'],
  ])('a phone within: %s', (text, phone) => {
    expect(found(text).some((line) => line.startsWith('phone') && line.endsWith(phone))).toBe(true);
  });

  test.each([
    '203.0.113.7',
    '2001:db8::8a2e:370:7334',
    '2001:0db8:0000:0000:0000:8a2e:0370:7334',
    '::ffff:203.0.113.7',
    '2001:DB8::1',
  ])('an IP address: %s', (address) => {
    for (const text of [
      `from ${address}`,
      `[${address}]`,
      `ip: ${address},`,
      `<td>${address}</td>`,
      `ip=${address}`,
    ])
      expect(found(text)).toContain(`ip_address ${address}`);
  });

  test.each([
    'example.com/203.0.113.7',
    'http://203.0.113.7/x',
    'root@203.0.113.7',
    'udp/203.0.113.7:53',
    'host-203.0.113.7',
  ])('an IP address within: %s', (text) => {
    expect(found(text)).toContain('ip_address 203.0.113.7');
  });

  test.each(['ip', 'from', 'client', 'ADDR'])(
    'an IP address of version 6 glued to its label: %s',
    (label) => {
      expect(found(`${label}:2001:db8::1, then`)).toEqual(['ip_address 2001:db8::1']);
    },
  );
});

describe('what only looks like it', () => {
  test.each([
    'version 1.2.3.4',
    'v1.2.3.4',
    'Chrome/120.0.6099.109',
    'lib==1.2.3.4',
    '>=1.2.3.4',
    '^1.2.3.4',
    'assembly 4.0.0.0',
    'section-6.2.2.1',
    '10.0.19045.3803',
    '5.4.0-150-generic',
    '127.0.0.1',
    '0.0.0.0',
    '255.255.255.0',
    '::1',
    '12:30:45',
    '00:1A:2B:3C:4D:5E',
    'std::vector::iterator',
    '2024-11-23T10:15:30Z',
    '2024-11-23 10:15:30',
    'Sat Aug 05 2023 02:36:31 GMT+0800',
    '1700000000',
    '1700000000000',
    '1700000000123456',
    '550e8400-e29b-41d4-a716-446655440000',
    'd41d8cd98f00b204e9800998ecf8427e',
    '0.18.0 / 2022-03-23',
    '2018-03-29 / 1.6.3',
    '$1,234,567.89',
    '1.234.567',
    '10 000 000',
    '1 000 000 000',
    '100 200 300 400',
    '100-200-300',
    '1-2-3-4-5-6-7',
    '2020-2024',
    'Q1 2023 2024 2025',
    '9.99-19.99',
    '10.1000/182',
    '1.2.840.113549',
    '0123456789',
    '2147483647',
    '4294967295',
    '9007199254740991',
    '1111111111111111',
    'ISBN 978-3-16-148410-0',
    'EAN 4006381333931',
    'GTIN 00012345600012',
    '1Z999AA10123456784',
    'rgb(255, 128, 0)',
    '52.520008, 13.404954',
    '"customerId": 4155550132, "a": 1',
    'order_id=4155550132, orderid: 4155550132;',
    'traceID: 4155550132, next',
    'SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU',
    'git@github.com:a/b.git',
    'font@2x.png',
    '@types/node@20.11.5',
    '12/24/2024 - 12/31/2024',
  ])('nothing in: %s', (text) => {
    expect(found(text)).toEqual([]);
    expect(found(`See ${text} there.`)).toEqual([]);
    expect(found(`a\n${text}\nb`)).toEqual([]);
  });
});
