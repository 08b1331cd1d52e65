import { describe, expect, test } from 'vitest';
import { STRUCTURED_PII_KINDS } from '#app/schemas/guardrails.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { inspectText } from '#router/guardrails/inspect-text.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { compileOutput } from '#router/guardrails/output/compile-output.ts';
import { TextGate } from '#router/guardrails/output/text-gate.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';

const models = await loadGuardrailModels();
const pii = Object.fromEntries(
  STRUCTURED_PII_KINDS.filter((kind) => kind !== 'url').map((kind) => [kind, 'redact']),
);
const policy = compilePolicy(
  tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'Acme', guardrails: { pii } }),
  1,
);

/** Made for tests, and of nobody. */
const VALUES: readonly (readonly [string, string])[] = [
  ['card_number', '4111 1111 1111 1111'],
  ['iban', 'DE89 3704 0044 0532 0130 00'],
  ['ssn', '219-09-9999'],
  ['email', 'ann.lee+x@mail.example.org'],
  ['phone', '+49 30 901820'],
  ['ip_address', '203.0.113.7'],
  ['ip_address', '2001:db8::8a2e:370:7334'],
];

const escapes = (text: string, form: (code: string) => string) =>
  [...text].map((sign) => form(sign.charCodeAt(0).toString(16).padStart(4, '0'))).join('');
const DISGUISES: readonly (readonly [string, (text: string) => string])[] = [
  ['zero-width characters', (text) => [...text].join('\u200b')],
  ['soft hyphens', (text) => [...text].join('\u00ad')],
  [
    'wide characters',
    (text) => text.replace(/[!-~]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) + 0xfee0)),
  ],
  [
    'mathematical digits',
    (text) => text.replace(/\d/g, (digit) => String.fromCodePoint(0x1d7ce + Number(digit))),
  ],
  ['blanks that do not break', (text) => text.replaceAll(' ', '\u00a0')],
  ['escapes of JSON', (text) => escapes(text, (code) => `\\u${code}`)],
  ['entities of HTML', (text) => escapes(text, (code) => `&#x${code};`)],
  ['escapes of an address', (text) => escapes(text, (code) => `%${code.slice(2)}`)],
  [
    'escapes where an address needs them',
    (text) => `https://example.org/?q=${encodeURIComponent(`${text} and so on`)}`,
  ],
  ['JSON', (text) => JSON.stringify({ value: text })],
  ['JSON within JSON', (text) => JSON.stringify({ value: JSON.stringify({ value: text }) })],
  ['Base64', (text) => Buffer.from(`the value: ${text}`).toString('base64')],
];

function kindsIn(text: string): string[] {
  const work = inspectText({ rules: policy.guardrails, patterns: [], models }, text, 'user');
  let step = work.next();
  while (step.done !== true) step = work.next();
  return step.value.map(({ kind }) => kind);
}

describe.each(VALUES)('%s %s', (kind, value) => {
  test.each(DISGUISES)('in %s', (_name, disguise) => {
    expect(kindsIn(`It is ${disguise(value)} as far as I know.`)).toContain(kind);
  });

  test('in a streamed answer, wherever it is cut', () => {
    const text = `It is ${value} as far as I know, and nothing else is. Bye.`;
    const answer = (pieces: readonly string[]) => {
      const gate = new TextGate(compileOutput(policy, models).scanners(), () => {});
      return [...pieces.map((piece) => gate.push(piece)), gate.end()].join('');
    };
    const whole = answer([text]);
    expect(whole).toContain(`[REDACTED:${kind}]`);
    expect(whole).not.toContain(value);
    expect(answer([...text])).toBe(whole);
    for (let first = 1; first < text.length; first += 1) {
      expect(answer([text.slice(0, first), text.slice(first)])).toBe(whole);
      const second = Math.min(text.length, first + 3);
      expect(answer([text.slice(0, first), text.slice(first, second), text.slice(second)])).toBe(whole);
    }
  });
});
