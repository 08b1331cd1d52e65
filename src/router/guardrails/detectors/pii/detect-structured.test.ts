import { describe, expect, test } from 'vitest';
import { isIssuedSsn, passesIbanCheck, passesLuhn } from '#router/guardrails/detectors/pii/checksums.ts';
import { detectStructuredPii } from '#router/guardrails/detectors/pii/detect-structured.ts';

const found = (text: string) =>
  detectStructuredPii(text).map(({ kind, start, end }) => `${kind} ${text.slice(start, end)}`);

describe('by form and check digits', () => {
  test.each([
    ['Pay with 4111 1111 1111 1111.', 'card_number 4111 1111 1111 1111'],
    ['5555-5555-5555-4444', 'card_number 5555-5555-5555-4444'],
    ['amex 3782 822463 10005', 'card_number 3782 822463 10005'],
    ['IBAN: DE89 3704 0044 0532 0130 00 thanks', 'iban DE89 3704 0044 0532 0130 00'],
    ['gb29nwbk60161331926819', 'iban gb29nwbk60161331926819'],
    ['my ssn is 219-09-9999', 'ssn 219-09-9999'],
    ['SSN 219099999', 'ssn 219099999'],
    ['write to mara.quill+x@mail.example.org.', 'email mara.quill+x@mail.example.org'],
    ['Call +49 30 901820.', 'phone +49 30 901820'],
    ['(415) 555-0132', 'phone (415) 555-0132'],
    ['from 203.0.113.7:', 'ip_address 203.0.113.7'],
    ['host 2001:db8::8a2e:370:7334', 'ip_address 2001:db8::8a2e:370:7334'],
    ['see https://example.org/a?b=c, ok', 'url https://example.org/a?b=c'],
    ['a card of a new network: 3599 0000 0000 0001', 'card_number 3599 0000 0000 0001'],
    ['my card 060400000000', 'card_number 060400000000'],
    ['Lee,+41 44 668 18 00,Zug', 'phone +41 44 668 18 00'],
    ['reach us: 0451 23 45 67', 'phone 0451 23 45 67'],
    ['Ann\n555 0100\nOslo', 'phone 555 0100'],
    ['name;212 555 0147;x', 'phone 212 555 0147'],
    ['Ann, 2125550147, Oslo', 'phone 2125550147'],
    ['Zoe, 431 600 200', 'phone 431 600 200'],
    ['+44 (0)20 7946 0000', 'phone +44 (0)20 7946 0000'],
    ['555.123.4567 x89', 'phone 555.123.4567 x89'],
  ])('%s', (text, expected) => {
    expect(found(text)).toContain(expected);
  });

  test.each([
    'order 4111 1111 1111 1112',
    'DE89 3704 0044 0532 0130 01',
    'invoice no. 2024-11-23',
    'version 10.2.3.4',
    'build 666-12-1234',
    'a total of 1,234,567.89 in 2023',
    'lines 120-180, pages 3-9',
    '3.14159265358979',
    'serial 123456789012',
    'me @ home',
    'a population of 123 456 789.',
    'the sum is 431 600 200',
    '123 456 789 people live there',
    'ZIP\n90210-1234',
    '2024 11 23',
    'order 6011000000000004999',
    'driver license number 1234567',
  ])('nothing in: %s', (text) => {
    expect(found(text).filter((line) => !line.startsWith('url'))).toEqual([]);
  });

  test('numbers beside each other are each found', () => {
    expect(found('4111 1111 1111 1111 5555 5555 5555 4444 4111111111111111')).toEqual([
      'card_number 4111 1111 1111 1111',
      'card_number 5555 5555 5555 4444',
      'card_number 4111111111111111',
    ]);
    expect(found('GB29 NWBK 6016 1331 9268 19 DE89 3704 0044 0532 0130 00')).toHaveLength(2);
  });
});

describe('check digits', () => {
  test('one wrong digit is always seen', () => {
    for (const [number, passes] of [
      ['4111111111111111', passesLuhn],
      ['DE89370400440532013000', passesIbanCheck],
    ] as const) {
      expect(passes(number)).toBe(true);
      for (let at = 0; at < number.length; at++) {
        if (!/\d/.test(number[at] ?? '')) continue;
        const wrong = `${number.slice(0, at)}${(Number(number[at]) + 1) % 10}${number.slice(at + 1)}`;
        expect(passes(wrong), wrong).toBe(false);
      }
    }
  });

  test.each(['000123456', '666123456', '900123456', '123004567', '123450000'])(
    'no %s was issued',
    (digits) => {
      expect(isIssuedSsn(digits)).toBe(false);
    },
  );
});
