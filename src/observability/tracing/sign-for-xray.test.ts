import { createHmac, hash } from 'node:crypto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createXRaySigner } from '#observability/tracing/sign-for-xray.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', SECRET);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** The algorithm, written down from https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function expectedSignature(headers: Record<string, string>, path: string, body: Uint8Array): string {
  const date = headers['x-amz-date'] ?? '';
  const day = date.slice(0, 8);
  const scope = `${day}/eu-central-1/xray/aws4_request`;
  const names = Object.keys(headers)
    .filter((name) => name !== 'authorization')
    .sort();
  const canonical = [
    'POST',
    path,
    '',
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    hash('sha256', body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', date, scope, hash('sha256', canonical)].join('\n');
  const key = [day, 'eu-central-1', 'xray', 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${SECRET}`,
  );
  return createHmac('sha256', key).update(toSign).digest('hex');
}

it('signs host, headers and body for X-Ray', async () => {
  const sign = await createXRaySigner('eu-central-1');
  const body = new Uint8Array([1, 2, 3]);
  const url = new URL('https://xray.eu-central-1.amazonaws.com/v1/traces');
  const headers = await sign({ url, headers: { 'content-type': 'application/x-protobuf' }, body });
  expect(headers).toMatchObject({ host: url.host, 'content-type': 'application/x-protobuf' });
  const { authorization = '', ...rest } = headers;
  expect(authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/xray\/aws4_request, /,
  );
  const signed = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
  const known = Object.fromEntries(signed.map((name) => [name, rest[name] ?? '']));
  expect(authorization).toContain(`Signature=${expectedSignature(known, '/v1/traces', body)}`);
});
