import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TrustedIssuer, trustedIssuerSchema } from '#app/schemas/trusted-issuer.ts';
import { createJwtVerifier, type JwtVerifier } from '#router/identity/jwt/jwt-verifier.ts';
import { COOLDOWN_MS, MAX_AGE_MS, MAX_STALE_MS } from '#router/identity/jwt/remote-key-set.ts';

const ISSUER = 'https://login.example.com/';
const GLOBEX_ISSUER = 'https://login.globex.example/';
const ES256_ISSUER = 'https://es256.example/';

const pair = await generateKeyPair('RS256', { extractable: true });
const ecPair = await generateKeyPair('ES256', { extractable: true });
const edPair = await generateKeyPair('EdDSA', { extractable: true });
const stranger = await generateKeyPair('RS256', { extractable: true });
const publicJwk = async (key: CryptoKey, kid: string): Promise<JWK> => ({
  ...(await exportJWK(key)),
  kid,
  use: 'sig',
});

let server: Server;
let base: string;
let published: JWK[] = [];
let fetches = 0;
let failing = false;
let clock = 0;

beforeAll(async () => {
  server = createServer((_request, response) => {
    fetches++;
    if (failing) response.writeHead(500).end();
    else
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ keys: published }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

let verifier: JwtVerifier;

beforeEach(async () => {
  published = [
    await publicJwk(pair.publicKey, 'rsa'),
    await publicJwk(ecPair.publicKey, 'ec'),
    await publicJwk(edPair.publicKey, 'ed'),
  ];
  fetches = 0;
  failing = false;
  clock = 1_000_000;
  const common = { audience: 'bulkhead', jwks_url: `${base}/jwks` };
  const issuers: TrustedIssuer[] = [
    trustedIssuerSchema.parse({ ...common, issuer: ISSUER }),
    trustedIssuerSchema.parse({ ...common, issuer: GLOBEX_ISSUER, tenant_id: 'globex' }),
    trustedIssuerSchema.parse({ ...common, issuer: ES256_ISSUER, algorithms: ['ES256'] }),
  ];
  verifier = createJwtVerifier({
    issuerOf: async (issuer) => issuers.find((known) => known.issuer === issuer),
    fetch,
    now: () => clock,
    date: () => new Date(),
    sleep: async (milliseconds) => {
      clock += milliseconds;
    },
  });
});

const CLAIMS = { tenant_id: 'acme', sub: 'alice', roles: ['admin'] };
type Forgery = {
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
  key?: CryptoKey | Uint8Array;
};

function sign({ header = {}, claims = {}, key = pair.privateKey }: Forgery = {}): Promise<string> {
  const seconds = Math.floor(Date.now() / 1000);
  const standard = { iss: ISSUER, aud: 'bulkhead', iat: seconds, exp: seconds + 300 };
  const payload = { ...standard, ...CLAIMS, ...claims };
  const defined = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined));
  return new SignJWT(defined).setProtectedHeader({ alg: 'RS256', kid: 'rsa', ...header }).sign(key);
}

/** The trusted private key, for use with another algorithm. */
const as = async (algorithm: string) => importJWK(await exportJWK(pair.privateKey), algorithm);

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token whose header and payload are exactly these texts, signed with the trusted RSA key. */
async function signText(header: string, payload: string): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`;
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', pair.privateKey, Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

const payloadText = (extra = '') => {
  const exp = Math.floor(Date.now() / 1000) + 300;
  return `{"iss":"${ISSUER}","aud":"bulkhead","exp":${exp},"tenant_id":"acme","sub":"alice"${extra}}`;
};

describe('a live token of a trusted issuer', () => {
  it('names tenant, user and role', async () => {
    expect(await verifier.verify(await sign())).toMatchObject({
      tenantId: 'acme',
      userId: 'alice',
      role: 'admin',
    });
  });

  it.each([
    ['ES256', 'ec', ecPair.privateKey],
    ['EdDSA', 'ed', edPair.privateKey],
  ])('may use %s', async (alg, kid, key) => {
    expect(await verifier.verify(await sign({ header: { alg, kid }, key }))).toMatchObject({
      tenantId: 'acme',
    });
  });

  it('needs no kid where one key fits', async () => {
    expect(await verifier.verify(await sign({ header: { kid: undefined } }))).toMatchObject({
      userId: 'alice',
    });
  });

  it.each([
    [undefined, 'member'],
    ['owner', 'member'],
    [['constructor', '__proto__'], 'member'],
    [[{ admin: true }], 'member'],
    ['service member', 'service'],
  ])('roles %j make a %s', async (roles, role) => {
    expect(await verifier.verify(await sign({ claims: { roles } }))).toMatchObject({ role });
  });

  it('of an issuer with algorithms of its own may use these', async () => {
    const key = { header: { alg: 'ES256', kid: 'ec' }, key: ecPair.privateKey };
    expect(await verifier.verify(await sign({ ...key, claims: { iss: ES256_ISSUER } }))).toMatchObject({
      tenantId: 'acme',
      issuer: ES256_ISSUER,
    });
  });

  it('of an issuer bound to one tenant needs no tenant claim', async () => {
    const token = await sign({ claims: { iss: GLOBEX_ISSUER, tenant_id: undefined } });
    expect(await verifier.verify(token)).toMatchObject({ tenantId: 'globex' });
  });
});

const past = Math.floor(Date.now() / 1000) - 3_600;
const attacks: [what: string, make: () => Promise<string> | string][] = [
  ['alg none', () => `${encode({ alg: 'none' })}.${encode(payloadText())}.`],
  ['alg None, capitalised', () => `${encode({ alg: 'None' })}.${encode(payloadText())}.`],
  [
    'alg none with a signature',
    async () => `${encode({ alg: 'none' })}.${(await sign()).split('.').slice(1).join('.')}`,
  ],
  [
    'HS256 with the PEM public key as secret',
    async () =>
      sign({ header: { alg: 'HS256' }, key: new TextEncoder().encode(await exportSPKI(pair.publicKey)) }),
  ],
  [
    'HS256 with the JWK modulus as secret',
    async () =>
      sign({
        header: { alg: 'HS256' },
        key: Buffer.from(String((await exportJWK(pair.publicKey)).n), 'base64url'),
      }),
  ],
  ['HS256 with an empty-looking secret', () => sign({ header: { alg: 'HS256' }, key: new Uint8Array(32) })],
  ['a stranger’s key under our kid', () => sign({ key: stranger.privateKey })],
  [
    'a stranger’s key embedded as jwk',
    async () => sign({ header: { jwk: await exportJWK(stranger.publicKey) }, key: stranger.privateKey }),
  ],
  ['our own key embedded as jwk', async () => sign({ header: { jwk: await exportJWK(pair.publicKey) } })],
  [
    'jku to the attacker’s keys',
    () => sign({ header: { jku: 'https://evil.example/jwks' }, key: stranger.privateKey }),
  ],
  [
    'x5u to the attacker’s certificate',
    () => sign({ header: { x5u: 'https://evil.example/cert' }, key: stranger.privateKey }),
  ],
  [
    'x5c with the attacker’s certificate',
    () => sign({ header: { x5c: ['MIIB'] }, key: stranger.privateKey }),
  ],
  ['a kid that is a path', () => sign({ header: { kid: '../../../dev/null' }, key: stranger.privateKey })],
  ['a kid that is SQL', () => sign({ header: { kid: "' OR '1'='1" }, key: stranger.privateKey })],
  ['a kid of another algorithm’s key', () => sign({ header: { kid: 'ec' } })],
  ['an ES256 kid with an RSA alg', () => sign({ header: { kid: 'ec', alg: 'RS256' } })],
  ['RS384', async () => sign({ header: { alg: 'RS384' }, key: await as('RS384') })],
  ['PS256', async () => sign({ header: { alg: 'PS256' }, key: await as('PS256') })],
  ['RS256 of an issuer that signs with ES256 alone', () => sign({ claims: { iss: ES256_ISSUER } })],
  [
    'EdDSA of an issuer that signs with ES256 alone',
    () =>
      sign({ header: { alg: 'EdDSA', kid: 'ed' }, key: edPair.privateKey, claims: { iss: ES256_ISSUER } }),
  ],
  ['crit', async () => signText('{"alg":"RS256","kid":"rsa","crit":["x"],"x":1}', payloadText())],
  ['b64 false', async () => signText('{"alg":"RS256","kid":"rsa","b64":false}', payloadText())],
  ['expired', () => sign({ claims: { exp: past } })],
  ['no exp', () => sign({ claims: { exp: undefined } })],
  ['exp as text', () => sign({ claims: { exp: '9999999999' } })],
  ['not yet valid', () => sign({ claims: { nbf: Math.floor(Date.now() / 1000) + 3_600 } })],
  ['wrong audience', () => sign({ claims: { aud: 'another-service' } })],
  ['no audience', () => sign({ claims: { aud: undefined } })],
  ['unknown issuer', () => sign({ claims: { iss: 'https://evil.example/' } })],
  ['an issuer that differs by a slash', () => sign({ claims: { iss: ISSUER.slice(0, -1) } })],
  ['an issuer in another case', () => sign({ claims: { iss: ISSUER.toUpperCase() } })],
  ['no issuer', () => sign({ claims: { iss: undefined } })],
  ['issuer as a list', () => sign({ claims: { iss: [ISSUER] } })],
  ['globex’s issuer naming acme', () => sign({ claims: { iss: GLOBEX_ISSUER, tenant_id: 'acme' } })],
  ['no tenant', () => sign({ claims: { tenant_id: undefined } })],
  ['tenant as a list', () => sign({ claims: { tenant_id: ['acme', 'globex'] } })],
  ['tenant that is a path', () => sign({ claims: { tenant_id: '../globex' } })],
  ['tenant in capitals', () => sign({ claims: { tenant_id: 'ACME' } })],
  ['no subject', () => sign({ claims: { sub: undefined } })],
  ['empty subject', () => sign({ claims: { sub: '' } })],
  ['another kind of token', () => sign({ header: { typ: 'dpop+jwt' } })],
  ['an internal token’s type', () => sign({ header: { typ: 'bulkhead-internal+jwt' } })],
  ['sub twice', () => signText('{"alg":"RS256","kid":"rsa"}', payloadText(',"sub":"mallory"'))],
  [
    'sub twice, once escaped',
    () => signText('{"alg":"RS256","kid":"rsa"}', payloadText(',"s\\u0075b":"mallory"')),
  ],
  ['alg twice', () => signText('{"alg":"none","alg":"RS256","kid":"rsa"}', payloadText())],
  ['a payload that is a list', () => signText('{"alg":"RS256","kid":"rsa"}', '[]')],
  ['a payload that is no JSON', () => signText('{"alg":"RS256","kid":"rsa"}', 'foo')],
  [
    'a byte changed in the payload',
    async () => {
      const [header, payload, signature] = (await sign()).split('.');
      return `${header}.${payload?.slice(0, -2)}AA.${signature}`;
    },
  ],
  [
    'another token’s payload under this signature',
    async () => {
      const [header, , signature] = (await sign()).split('.');
      return `${header}.${(await sign({ claims: { tenant_id: 'globex' } })).split('.')[1]}.${signature}`;
    },
  ],
  [
    'the same first 20 characters, forged after',
    async () => `${(await sign()).slice(0, 20)}${'A'.repeat(300)}.e30.AAAA`,
  ],
  ['the signature cut off', async () => `${(await sign()).split('.').slice(0, 2).join('.')}.`],
  ['two parts', async () => (await sign()).split('.').slice(0, 2).join('.')],
  ['four parts', async () => `${await sign()}.AAAA`],
  ['padding', async () => `${await sign()}==`],
  ['a space before', async () => ` ${await sign()}`],
  ['a newline within', async () => (await sign()).replace('.', '.\n')],
  ['plain base64 characters', async () => (await sign()).replace(/[-_]/g, '+')],
  [
    'JSON serialisation',
    async () => {
      const [header, payload, signature] = (await sign()).split('.');
      return JSON.stringify({ protected: header, payload, signature });
    },
  ],
  ['a very long token', () => `${'A'.repeat(200_000)}.e30.AAAA`],
  ['nothing', () => ''],
];

describe('an attack is refused', () => {
  it.each(attacks)('%s', async (_what, make) => {
    // The key set is warm, so that nothing is refused for want of keys.
    await verifier.verify(await sign());
    const token = await make();
    // A replacement that found nothing to replace left the token valid: the case would test nothing.
    expect(token).not.toBe(await sign());
    await expect(verifier.verify(token)).rejects.toMatchObject({
      code: 'invalid_credential',
      message: 'The token is not valid.',
    });
  });
});

describe('the issuer’s keys', () => {
  it('are fetched once for many tokens at once', async () => {
    const token = await sign();
    await Promise.all(Array.from({ length: 50 }, () => verifier.verify(token)));
    expect(fetches).toBe(1);
  });

  it('withdrawn, stop within five seconds', async () => {
    const token = await sign();
    await verifier.verify(token);
    published = published.filter((key) => key.kid !== 'rsa');
    clock += MAX_AGE_MS + 1;
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'invalid_credential' });
  });

  it('rotated in, work at once, and unknown kids share one fetch', async () => {
    await verifier.verify(await sign());
    published.push(await publicJwk(stranger.publicKey, 'new'));
    const token = await sign({ header: { kid: 'new' }, key: stranger.privateKey });
    expect(await verifier.verify(token)).toMatchObject({ userId: 'alice' });
    const unknown = Array.from({ length: 20 }, (_, nth) => sign({ header: { kid: `unknown-${nth}` } }));
    const before = { fetches, clock };
    const answers = await Promise.allSettled(
      (await Promise.all(unknown)).map((each) => verifier.verify(each)),
    );
    expect(answers.every(({ status }) => status === 'rejected')).toBe(true);
    expect(fetches).toBe(before.fetches + 1);
    expect(clock - before.clock).toBe(COOLDOWN_MS);
  });

  it('replaced where no token names one, are fetched once before a signature is refused', async () => {
    published = [await publicJwk(pair.publicKey, 'rsa')];
    const header = { kid: undefined };
    await verifier.verify(await sign({ header }));
    published = [await publicJwk(stranger.publicKey, 'rsa')];
    expect(await verifier.verify(await sign({ header, key: stranger.privateKey }))).toMatchObject({
      userId: 'alice',
    });
    await expect(verifier.verify(await sign({ header }))).rejects.toMatchObject({
      code: 'invalid_credential',
    });
    expect(fetches).toBe(3);
  });

  it('serve on while the issuer is down, and not for ever', async () => {
    const token = await sign();
    await verifier.verify(token);
    failing = true;
    clock += MAX_STALE_MS - 1;
    expect(await verifier.verify(token)).toMatchObject({ userId: 'alice' });
    clock += 2;
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'service_unavailable' });
  });

  it('that are short, private, symmetric or for encryption are not used', async () => {
    const encryption = { ...(await publicJwk(pair.publicKey, 'rsa')), use: 'enc' };
    const secret: JWK = { kty: 'oct', k: Buffer.alloc(32).toString('base64url'), kid: 'rsa' };
    const leaked = { ...(await exportJWK(pair.privateKey)), kid: 'rsa' };
    for (const unusable of [encryption, secret, leaked]) {
      published = [unusable];
      clock += MAX_AGE_MS + 1;
      await expect(verifier.verify(await sign())).rejects.toMatchObject({ code: 'invalid_credential' });
    }
  });

  it('under one kid twice are not guessed between', async () => {
    published = [await publicJwk(pair.publicKey, 'rsa'), await publicJwk(stranger.publicKey, 'rsa')];
    await expect(verifier.verify(await sign())).rejects.toMatchObject({ code: 'invalid_credential' });
  });
});

it('keeps the keys of issuers in use, whatever else tenants name', async () => {
  const fetched: string[] = [];
  const many = createJwtVerifier({
    issuerOf: async (issuer) => ({
      ...trustedIssuerSchema.parse({
        issuer,
        audience: 'bulkhead',
        jwks_url: `${issuer}jwks`,
        tenant_id: 'acme',
      }),
      isOfTenant: issuer !== ISSUER,
    }),
    async fetch(url) {
      fetched.push(url);
      const body = Readable.from([Buffer.from(JSON.stringify({ keys: published }))]);
      return { ok: true, status: 200, body };
    },
    now: () => clock,
    date: () => new Date(),
  });
  const verify = async (iss: string) => many.verify(await sign({ claims: { iss } }));
  await verify(ISSUER);
  await verify('https://busy.example/');
  for (let nth = 0; nth < 1_005; nth++) {
    await verify(`https://tenant-${nth}.example/`);
    if (nth % 100 === 0) await verify('https://busy.example/');
  }
  await verify(ISSUER);
  await verify('https://busy.example/');
  expect(fetched.filter((url) => !url.includes('tenant-'))).toEqual([
    `${ISSUER}jwks`,
    'https://busy.example/jwks',
  ]);
});
