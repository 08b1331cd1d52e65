import { exportPKCS8, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createForwardedTokens,
  createInternalTokenMinter,
  createInternalTokenVerifier,
} from '#app/http/internal-token.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import { testContext } from '#test/support/test-context.ts';

const pair = await generateKeyPair('EdDSA', { extractable: true });
const stranger = await generateKeyPair('EdDSA', { extractable: true });
const minter = await createInternalTokenMinter(await exportPKCS8(pair.privateKey));
const verifier = await createInternalTokenVerifier(await exportSPKI(pair.publicKey), 'orchestrator');
const context = testContext('acme', 'alice');

const CLAIMS = {
  tenant_id: 'acme',
  user_id: 'alice',
  role: 'member',
  scopes: ['chat'],
  collections: null,
  key_id: null,
  request_id: context.requestId,
};

const HEADER = { alg: 'EdDSA', typ: 'bulkhead-internal+jwt' };

const token = (header: { alg: string; typ: string } = HEADER, claims: Record<string, unknown> = CLAIMS) =>
  new SignJWT({ ...claims })
    .setProtectedHeader(header)
    .setIssuer('bulkhead-router')
    .setAudience('orchestrator')
    .setIssuedAt()
    .setExpirationTime('60s');

describe('a key that is none', () => {
  it.each([['', 'nonsense', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----']].flat())(
    'is refused by the name of its setting: %j',
    async (pem) => {
      await expect(createInternalTokenVerifier(pem, 'orchestrator')).rejects.toThrow(
        /^INTERNAL_TOKEN_PUBLIC_KEY: /,
      );
      await expect(createInternalTokenMinter(pem)).rejects.toThrow(/^INTERNAL_TOKEN_PRIVATE_KEY: /);
      await expect(createInternalTokenMinter(pem)).rejects.toThrow(SettingsError);
    },
  );
});

const withoutTenant = Object.fromEntries(Object.entries(CLAIMS).filter(([name]) => name !== 'tenant_id'));

function tokenWithoutExpiry() {
  const bare = new SignJWT({ ...CLAIMS }).setProtectedHeader(HEADER).setIssuer('bulkhead-router');
  return bare.setAudience('orchestrator').setIssuedAt().sign(pair.privateKey);
}

describe('an internal token', () => {
  it('carries the whole context', async () => {
    expect(await verifier.verify(await minter.tokenFor(context, 'orchestrator'))).toEqual(context);
  });

  const past = Math.floor(Date.now() / 1000) - 600;
  const forgeries: [what: string, make: () => Promise<string>][] = [
    ['of another audience', () => minter.tokenFor(context, 'rag-service')],
    ['signed by another key', () => token().sign(stranger.privateKey)],
    [
      'that has expired',
      () =>
        token()
          .setIssuedAt(past)
          .setExpirationTime(past + 60)
          .sign(pair.privateKey),
    ],
    ['that never expires', tokenWithoutExpiry],
    [
      'that was made to live a day',
      () => token().setIssuedAt(past).setExpirationTime('1d').sign(pair.privateKey),
    ],
    ['of another issuer', () => token().setIssuer('somebody').sign(pair.privateKey)],
    ['of another type', () => token({ alg: 'EdDSA', typ: 'JWT' }).sign(pair.privateKey)],
    ['with no tenant', () => token(HEADER, withoutTenant).sign(pair.privateKey)],
    [
      'with no signature',
      async () => {
        const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
        const seconds = Math.floor(Date.now() / 1000);
        const claims = {
          ...CLAIMS,
          iss: 'bulkhead-router',
          aud: 'orchestrator',
          iat: seconds,
          exp: seconds + 60,
        };
        return `${encode({ alg: 'none', typ: 'bulkhead-internal+jwt' })}.${encode(claims)}.`;
      },
    ],
    [
      'signed with the public key as an HMAC secret',
      async () => {
        const secret = new TextEncoder().encode(await exportSPKI(pair.publicKey));
        return token({ alg: 'HS256', typ: HEADER.typ }).sign(secret);
      },
    ],
    ['that is no token', async () => 'abc'],
  ];
  it.each(forgeries)('%s is refused', async (_what, make) => {
    await expect(verifier.verify(await make())).rejects.toMatchObject({ code: 'invalid_credential' });
  });

  it('that does not say which collections is refused, and not without limits', async () => {
    const { collections: _, ...silent } = CLAIMS;
    await expect(verifier.verify(await token(HEADER, silent).sign(pair.privateKey))).rejects.toMatchObject({
      code: 'invalid_credential',
    });
    const limited = token(HEADER, { ...CLAIMS, collections: ['legal'] });
    expect((await verifier.verify(await limited.sign(pair.privateKey))).collections).toEqual(['legal']);
  });

  it('grants no scope above its role, whatever it claims', async () => {
    const greedy = token(HEADER, { ...CLAIMS, scopes: ['chat', 'tenant:admin'] });
    expect((await verifier.verify(await greedy.sign(pair.privateKey))).scopes).toEqual(['chat']);
  });
});

describe('forwarded tokens', () => {
  const forwarded = createForwardedTokens();
  beforeAll(() => forwarded.remember(context, 'rag-service', 'the token'));

  it('are found by the very context that they came with', async () => {
    expect(await forwarded.tokenFor(context, 'rag-service')).toBe('the token');
  });

  it('are not found by an equal context of another request, nor for another audience', async () => {
    await expect(forwarded.tokenFor(testContext('acme', 'alice'), 'rag-service')).rejects.toMatchObject({
      code: 'service_unavailable',
    });
    await expect(forwarded.tokenFor(context, 'orchestrator')).rejects.toMatchObject({
      code: 'service_unavailable',
    });
  });
});
