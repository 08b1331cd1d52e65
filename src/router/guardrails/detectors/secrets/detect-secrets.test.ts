import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { detectSecrets } from '#router/guardrails/detectors/secrets/detect-secrets.ts';
import { KEY_BLOCK_START, keyBlockEnd, keyBlocksOf } from '#router/guardrails/detectors/secrets/key-block.ts';

/** Letters and digits without a pattern; nothing here opens anything. */
const filler = (length: number, alphabet: string): string =>
  Array.from({ length }, (_, index) => alphabet[(index * index * 7 + index * 3 + 5) % alphabet.length]).join(
    '',
  );
const MIXED = 'aZ3bY7cX1dW9eV5fU2gT8hS4iR6jQ0kP';
const HEX = '0123456789abcdef';
const LETTERS = 'aZbYcXdWeVfUgThSiRjQkP';

const found = (text: string) =>
  detectSecrets(text).map(({ kind, start, end }) => ({ kind, text: text.slice(start, end) }));

describe('tokens by their make', () => {
  test.each([
    ['aws_access_key_id', 'AKIAQ2W3E4R5T6Y7U2I3'],
    ['github_token', `ghp_${filler(36, MIXED)}`],
    ['github_token', `github_pat_${filler(70, MIXED)}`],
    ['gitlab_token', `glpat-${filler(20, MIXED)}`],
    ['slack_token', `xoxb-${filler(24, '0123456789')}-${filler(24, MIXED)}`],
    ['stripe_key', `sk_live_${filler(24, MIXED)}`],
    ['google_api_key', `AIza${filler(35, MIXED)}`],
    ['model_provider_key', `sk-proj-${filler(48, MIXED)}`],
    ['model_provider_key', `sk-ant-api03-${filler(60, MIXED)}`],
    ['huggingface_token', `hf_${filler(34, LETTERS)}`],
    ['npm_token', `npm_${filler(36, MIXED)}`],
    ['sendgrid_key', `SG.${filler(22, MIXED)}.${filler(43, MIXED)}`],
    ['digitalocean_token', `dop_v1_${filler(64, HEX)}`],
    ['databricks_token', `dapi${filler(32, HEX)}`],
    ['telegram_token', `123456789:AA${filler(33, MIXED)}`],
    ['bulkhead_key', `bk_${filler(26, '0123456789abcdefghjkmnpqrstvwxyz')}_${filler(43, MIXED)}`],
  ])('%s', (kind, secret) => {
    expect(found(`Use "${secret}", please.`)).toContainEqual({ kind, text: secret });
    expect(found(secret)).toContainEqual({ kind, text: secret });
    // Within a longer word it is none.
    expect(found(`x${secret}`)).not.toContainEqual({ kind, text: secret });
  });

  test('a JWT is known by its header', () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'test' })}.${filler(43, MIXED)}`;
    expect(found(`cookie: ${token};`)).toContainEqual({ kind: 'jwt', text: token });
    const other = `${part({ name: 'no header' })}.${part({ sub: 'test' })}.${filler(43, MIXED)}`;
    expect(found(other)).not.toContainEqual(expect.objectContaining({ kind: 'jwt' }));
  });

  test('a private key reaches to its last line', () => {
    const key = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nIIrx9Zk=\n-----END EC PRIVATE KEY-----';
    expect(found(`Here:\n${key}\nThanks.`)).toEqual([{ kind: 'private_key', text: key }]);
    expect(found('-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----')).toEqual([]);
  });

  test('the password in an address', () => {
    expect(found('postgres://svc:Vx9-tR2_qLm7@db.internal/app')).toContainEqual({
      kind: 'connection_password',
      text: 'Vx9-tR2_qLm7',
    });
    expect(found('https://example.org:8080/a@b')).toEqual([]);
  });
});

describe('assignments', () => {
  test.each([
    ['password = hunter2Zx9', 'password', 'hunter2Zx9'],
    ['DB_PASSWORD: "c0rrect-h0rse"', 'password', 'c0rrect-h0rse'],
    ['{"client_secret": "9fK2mQ7xL4pZ8vB1"}', 'secret_value', '9fK2mQ7xL4pZ8vB1'],
    ['the password is Tr0ub4dor-3.', 'password', 'Tr0ub4dor-3'],
  ])('%s', (text, kind, value) => {
    expect(found(text)).toContainEqual({ kind, text: value });
  });

  test.each([
    'The password is reset by e-mail.',
    'password = os.environ["DB_PASSWORD"]',
    'api_key: YOUR_API_KEY_HERE',
    'token: <your token>',
    'What is a secret key?',
    'Set PASSWORD to %s.',
    'key: value',
    'The token is generated automatically.',
    'commit 4f2a9c1e8b7d6a5f4e3d2c1b0a9f8e7d6c5b4a3f',
  ])('not: %s', (text) => {
    expect(found(text)).toEqual([]);
  });
});

test('what is passed over as prose is looked at as soon as anything in it could be a secret', () => {
  const secrets = [
    'hunter2',
    `hf_${filler(34, LETTERS)}`,
    'AKIAQWERTYUIOPASDFGH',
    `ghp_${filler(36, MIXED)}`,
  ];
  for (const secret of secrets) {
    const text = `Our long answer, in plain words!\nThe password: ${secret} and more of it.`;
    expect(found(text).map((one) => one.text)).toContain(secret);
  }
  expect(found("The password is correct, and the token was renewed. I don't know more.")).toEqual([]);
});

describe('private keys', () => {
  const parts = fc.array(
    fc.constantFrom(
      ...['-----BEGIN RSA PRIVATE KEY-----', '-----END RSA PRIVATE KEY-----', '-----BEGIN PRIVATE KEY-----'],
      ...['-----END', '-----', '-', 'QUJD', '\n', '!'],
    ),
    { maxLength: 16 },
  );

  test('end where each of them alone would end', () => {
    fc.assert(
      fc.property(parts, (some) => {
        const text = some.join('');
        const alone = [...text.matchAll(KEY_BLOCK_START)].map(({ 0: line, index }) => ({
          start: index,
          end: keyBlockEnd(text, index + line.length),
        }));
        expect(keyBlocksOf(text)).toEqual(alone);
      }),
    );
  });

  test('are found in linear time, however many first lines there are', () => {
    // With the square of their number this takes minutes.
    for (const line of ['-----BEGIN RSA PRIVATE KEY-----', '-----BEGIN RSA PRIVATE KEY-----!']) {
      expect(detectSecrets(line.repeat(60_000))).toHaveLength(60_000);
    }
  });
});
