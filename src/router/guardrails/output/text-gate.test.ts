import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { compileOutput } from '#router/guardrails/output/compile-output.ts';
import { TextGate } from '#router/guardrails/output/text-gate.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';

const models = await loadGuardrailModels();

function rulesOf(config: Record<string, unknown>) {
  const parsed = tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'Acme', ...config });
  return compileOutput(compilePolicy(parsed, 1), models);
}
const strict = rulesOf({
  pii: 'redact',
  sensitive_patterns: [
    { name: 'codename', pattern: 'blue\\s+heron', action: 'redact', applies_to: 'output' },
  ],
});
/** Without names and addresses, which a model guesses at. */
const exact = rulesOf({ guardrails: { pii: { email: 'redact', card_number: 'redact' } } });

/** What comes out, piece by piece. */
function stream(pieces: readonly string[], rules = strict): string[] {
  const gate = new TextGate(rules.scanners(), () => {});
  return [...pieces.map((piece) => gate.push(piece)), gate.end()];
}

const whole = (text: string, rules = strict): string => stream([text], rules).join('');

function cut(text: string, places: readonly number[]): string[] {
  const ends = [...new Set(places.map((place) => Math.floor(place * text.length)))].sort((a, b) => a - b);
  return [...ends, text.length].map((end, index) =>
    text.slice(index === 0 ? 0 : (ends[index - 1] ?? 0), end),
  );
}

/** Made for these tests, and of no use to anybody. */
const SECRETS = [
  'AKIAQ2W3E4R5T6Y7U2I3',
  'ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0ZXN0MTIzNDU2In0.q3v9Xk2LmN8pR4sT6uW1yZ0aB5cD7eF',
  'postgres://svc:Vx9-tR2_qLm7@db.internal:5432/app',
  '-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx9Zk\nq0V7Yt3Lm2Pp+/8=\n-----END RSA PRIVATE KEY-----',
] as const;
const HIDDEN = [
  'AKIAQ2W3E4R5T6Y7U2I3',
  'ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8',
  'eyJhbGciOiJIUzI1NiJ9',
  'Vx9-tR2_qLm7',
  'MIIEowIBAAKCAQEAx9Zk',
  'q0V7Yt3Lm2Pp',
  '4111 1111 1111 1111',
  'GB29 NWBK 6016 1331 9268 19',
  'mara.quill@example.org',
  'blue heron',
] as const;
const PROSE = [
  'The ferry leaves at nine. ',
  'ALL CAPS HEADLINE ',
  'see note 12, page 340; ',
  '\n\n- one\n- two\n',
  '今日は雨です。明日は晴れるでしょう。',
  'naïve café — “quoted” ',
  '🙂🙃 ',
  '{"a": [1, 2.5, null]} ',
  '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
  'https://example.org/a/b?c=d#e ',
  'ｆｕｌｌ ｗｉｄｔｈ ',
] as const;
const PERSONAL = [
  '4111 1111 1111 1111',
  'GB29 NWBK 6016 1331 9268 19',
  'mara.quill@example.org',
  'blue heron',
] as const;

const textOf = fc
  .array(fc.constantFrom(...PROSE, ...SECRETS, ...PERSONAL, ' ', '\n', 'word '), {
    minLength: 1,
    maxLength: 14,
  })
  .map((parts) => parts.join(' '));

describe('a streamed answer', () => {
  test('comes out the same however it is cut, and never shows what is redacted', () => {
    fc.assert(
      fc.property(
        textOf,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 }),
        (text, places) => {
          const expected = whole(text);
          const pieces = stream(cut(text, places));
          expect(pieces.join('')).toBe(expected);
          for (const hidden of HIDDEN) expect(expected).not.toContain(hidden);
        },
      ),
      { numRuns: 120 },
    );
  });

  test('comes out the same one character at a time', () => {
    fc.assert(
      fc.property(textOf, (text) => {
        expect(stream(text.split('')).join('')).toBe(whole(text));
      }),
      { numRuns: 30 },
    );
  });

  test.each(SECRETS)('sends no character of a secret early: %#', (secret) => {
    const lead = 'The value you asked for is ';
    const text = `${lead}${secret} and that is all of it.`;
    const shown = stream(text.split(''), exact);
    let sent = '';
    for (const piece of shown) {
      sent += piece;
      // What is out is always the beginning of the redacted text, so nothing was taken back.
      expect(whole(text, exact).startsWith(sent)).toBe(true);
    }
    expect(sent).toContain('[REDACTED:');
    expect(sent.endsWith(' and that is all of it.')).toBe(true);
    expect(sent.startsWith(lead)).toBe(true);
  });

  test('holds plain prose for a word only', () => {
    const gate = new TextGate(rulesOf({}).scanners(), () => {});
    expect(gate.push('The quick brown ')).toBe('The quick brown ');
    expect(gate.push('fox')).toBe('');
    expect(gate.push(' jumps')).toBe('fox ');
  });

  test('redacts a key of any length, and goes on after it', () => {
    const line = `${'Ab3/'.repeat(16)}\n`;
    const key = `-----BEGIN PRIVATE KEY-----\n${line.repeat(400)}-----END PRIVATE KEY-----`;
    const shown = stream(cut(`before ${key}\nafter.`, [0.1, 0.2, 0.5, 0.9, 0.999]), exact);
    expect(shown.join('')).toBe('before [REDACTED:private_key]\nafter.');
  });

  test('a key without an end takes what a key may hold, and no more', () => {
    expect(whole('-----BEGIN PRIVATE KEY-----\nMIIEow12\nqqqq', exact)).toBe('[REDACTED:private_key]');
    expect(whole('Files begin with -----BEGIN PRIVATE KEY-----. The rest is Base64.', exact)).toBe(
      'Files begin with [REDACTED:private_key]. The rest is Base64.',
    );
  });

  test('a run without a blank is held until it can be told, and comes out whole', () => {
    const run = 'QWERTY'.repeat(5_000);
    expect(stream(cut(run, [0.3, 0.6]), exact).join('')).toBe(run);
  });

  test('invisible characters hide nothing', () => {
    expect(whole('key AKIAQ2W3\u200bE4R5T6\u2060Y7U2I3 end', exact)).toBe(
      'key [REDACTED:aws_access_key_id] end',
    );
  });

  test('tenants that want nothing looked for get their text as it comes', () => {
    const open = rulesOf({ guardrails: { secrets: { output: 'allow' } } });
    expect(open.isActive).toBe(false);
    expect(stream(['AKIAQ2W3E4', 'R5T6Y7U2I3'], open)).toEqual(['AKIAQ2W3E4', 'R5T6Y7U2I3', '']);
  });
});
