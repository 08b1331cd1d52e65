import { describe, expect, test } from 'vitest';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { inspectText } from '#router/guardrails/inspect-text.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { compileOutput } from '#router/guardrails/output/compile-output.ts';
import { TextGate } from '#router/guardrails/output/text-gate.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';

const models = await loadGuardrailModels();
const policy = compilePolicy(
  tenantConfigSchema.parse({
    tenant_id: 'acme',
    display_name: 'Acme',
    guardrails: {
      pii: {
        url: 'redact',
        email: 'redact',
        phone: 'redact',
        card_number: 'redact',
        iban: 'redact',
        ip_address: 'redact',
        ssn: 'redact',
        person: 'redact',
        address: 'redact',
        location: 'redact',
        organization: 'redact',
        date_of_birth: 'redact',
        license: 'redact',
      },
    },
    sensitive_patterns: [{ name: 'evil', pattern: '(a+)+$', action: 'redact', applies_to: 'both' }],
  }),
  1,
);

/** Long enough that quadratic time would run into the test's time limit, and linear time not nearly. */
const LENGTH = 100_000;
const fill = (unit: string): string => unit.repeat(Math.ceil(LENGTH / unit.length)).slice(0, LENGTH);

/** Texts on which patterns with nested or overlapping repetition take exponential or quadratic time. */
const CORPUS: readonly [string, string][] = [
  ['one letter', `${fill('a')}!`],
  ['addresses without an end', fill('a.')],
  ['at signs', fill('a@')],
  ['addresses', fill('a@b.')],
  ['addresses of mail', fill('a@b.co ')],
  ['addresses of mail in each other', fill('"<a@b.co>@')],
  ['names and addresses of mail', fill('Ann Lee a@b.co ')],
  ['phones', fill('+4930901820 ')],
  ['links and phones', fill('http://a.b/ +4930901820 ')],
  ['social security numbers', fill('219-09-9999 ')],
  ['names', fill('Ann Lee, ')],
  ['a long name', fill('Ann ')],
  ['a name of one word', `A${fill('nn')}`],
  ['initials', fill("O'")],
  ['a long street', fill('1 Main Street, ')],
  ['dates of birth', fill('born 1.1.1990 ')],
  ['brackets', fill('(0')],
  ['apostrophes', fill("a'")],
  ['domains', fill('a-a.')],
  ['schemes', fill('http://')],
  ['users', fill('a://b:')],
  ['digits', fill('1')],
  ['digits apart', fill('1 ')],
  ['groups of digits', fill('4111 ')],
  ['IPv4', fill('1.1.')],
  ['IPv6', fill('a:')],
  ['IBANs', fill('GB29 ')],
  ['assignments', fill('password=')],
  ['names of secrets', fill('a_password_')],
  ['bearer', fill('bearer ')],
  ['JWT heads', fill('eyJaaaaaaaa.')],
  ['key heads', fill('-----BEGIN ')],
  ['keys without an end', fill('-----BEGIN PRIVATE KEY-----\n')],
  ['dashes', fill('-')],
  ['Base64', fill('QUJD')],
  ['Base64 on lines', fill(`${'QUJD'.repeat(19)}\n`)],
  ['hex', fill('41 ')],
  ['URL escapes', fill('%41')],
  ['words before an escape', `${fill('a')}%41%42%43`],
  ['character escapes', fill('\\u0041')],
  ['entities', fill('&#65;')],
  ['letters apart', fill('i ')],
  ['leetspeak', fill('l33t')],
  ['tag characters', fill('\u{e0041}')],
  ['combining marks', `a${fill('\u0301')}`],
  ['combining marks out of order', `a${fill('\u0301\u0316\u0345')}`],
  ['half-width marks', fill('\uff9e')],
  ['combining marks around what shows nothing', fill('\u0345\u0301\u0316\u200d')],
  ['keys in each other', fill('-----BEGIN RSA PRIVATE KEY-----')],
  ['keys broken off', fill('-----BEGIN RSA PRIVATE KEY-----!')],
  ['blanks', fill(' ')],
  ['line ends', fill('\n')],
  ['capital words', fill('Ab ')],
  ['lookalikes', fill('а')],
  ['emoji', fill('🙂')],
];

describe('time grows with the length of the text and no faster', () => {
  test.each(CORPUS)('what is sent: %s', (_name, text) => {
    const work = inspectText({ rules: policy.guardrails, patterns: [], models }, text, 'user');
    let steps = 0;
    for (let next = work.next(); next.done !== true; next = work.next()) steps++;
    // Others have their turn while a long text is looked at.
    expect(steps).toBeGreaterThan(2);
  });

  test.each(CORPUS)('what is answered: %s', (_name, text) => {
    const gate = new TextGate(compileOutput(policy, models).scanners(), () => {});
    let length = 0;
    for (let at = 0; at < text.length; at += 512) length += gate.push(text.slice(at, at + 512)).length;
    expect(length + gate.end().length).toBeGreaterThan(0);
  });
});
