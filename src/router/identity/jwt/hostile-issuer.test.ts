import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  COOLDOWN_MS,
  createRemoteKeySet,
  FAILED_RECENTLY_MS,
  FRESH_MS,
  MAX_AGE_MS,
  MAX_STALE_MS,
} from '#router/identity/jwt/remote-key-set.ts';

const MEBIBYTE = 1_048_576;
const { publicKey } = await generateKeyPair('RS256', { extractable: true });
const jwk: JWK = { ...(await exportJWK(publicKey)), kid: 'one', use: 'sig' };
const HEADER = { alg: 'RS256', kid: 'one' } as const;
const setOf = (...keys: unknown[]) => JSON.stringify({ keys });

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const whole: Answer = (_request, response) => response.end(setOf(jwk));

/** An issuer on a server of its own, that answers as the test says. */
async function startIssuer() {
  const state = { answer: whole, requests: 0, open: 0 };
  const server: Server = createServer((request, response) => {
    state.requests += 1;
    state.open += 1;
    response.once('close', () => {
      state.open -= 1;
    });
    state.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { state, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

let issuer: Awaited<ReturnType<typeof startIssuer>>;
let internal: Awaited<ReturnType<typeof startIssuer>>;
beforeAll(async () => {
  issuer = await startIssuer();
  internal = await startIssuer();
});
afterAll(async () => {
  for (const { server } of [issuer, internal]) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

let clock = 0;
let errors: unknown[] = [];
let skipped: { skipped: number; total: number }[] = [];
const sleep = async (milliseconds: number) => {
  clock += milliseconds;
};
const newKeySet = () =>
  createRemoteKeySet({
    url: `${issuer.url}/jwks`,
    fetch,
    now: () => clock,
    sleep,
    onRefreshError: (error) => errors.push(error),
    onSkipped: (report) => skipped.push(report),
  });
beforeEach(() => {
  clock = 1_000_000;
  errors = [];
  skipped = [];
  for (const { state } of [issuer, internal]) Object.assign(state, { answer: whole, requests: 0 });
});

/** Writes at once, and more as soon as the reader has taken it, until it has had enough. */
function flood(response: ServerResponse, text: string, written: { bytes: number }): void {
  const write = () => {
    while (!response.destroyed && written.bytes < 200 * MEBIBYTE) {
      written.bytes += text.length;
      if (!response.write(text)) {
        response.once('drain', write);
        return;
      }
    }
  };
  write();
}

/** A document that never ends, a small piece at a time. */
function drip(response: ServerResponse, text: string): void {
  const timer = setInterval(() => response.write(text), 50);
  response.once('close', () => clearInterval(timer));
}

const HOSTILE: readonly (readonly [name: string, answer: Answer])[] = [
  ['a document that never ends', (_, response) => drip(response, ' ')],
  [
    'a head that never ends',
    (request) => {
      const timer = setInterval(() => request.socket.write('x'), 50);
      request.socket.write('HTTP/1.1 200 OK\r\nx-padding: ');
      request.socket.once('close', () => clearInterval(timer));
    },
  ],
  ['silence', () => undefined],
  ['a connection that is reset', (request) => request.socket.resetAndDestroy()],
  [
    'a connection that is cut within the document',
    (request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"keys":[');
      setTimeout(() => request.socket.destroy(), 20);
    },
  ],
  ['a page', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
  ['no bytes', (_, response) => response.end()],
  ['null', (_, response) => response.end('null')],
  ['a list', (_, response) => response.end(setOf(jwk).slice(8, -1))],
  ['keys that are no list', (_, response) => response.end('{"keys":{"0":{"kty":"RSA"}}}')],
  ['depth', (_, response) => response.end(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
  ['bytes that are no text', (_, response) => response.end(Buffer.alloc(1_000, 0xff))],
  ['a broken encoding', (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('{}')],
  ['a failure', (_, response) => response.writeHead(503).end(setOf(jwk))],
];

describe('an issuer', () => {
  it.each(HOSTILE)(
    'that answers with %s has no keys, and has them as soon as it answers well',
    async (...[, answer]) => {
      const keys = newKeySet();
      issuer.state.answer = answer;
      await expect(keys.keyFor(HEADER)).rejects.toMatchObject({ code: 'service_unavailable' });
      expect(errors).toHaveLength(1);
      // Nothing of it is left open.
      await expect.poll(() => issuer.state.open).toBe(0);
      issuer.state.answer = whole;
      clock += COOLDOWN_MS;
      expect(await keys.keyFor(HEADER)).toMatchObject({ kid: 'one', algorithm: 'RS256' });
      expect(issuer.state.requests).toBe(2);
    },
  );

  it('that sends without end is heard for a quarter of a mebibyte, and then cut off', async () => {
    const written = { bytes: 0 };
    issuer.state.answer = (_, response) => flood(response, ' '.repeat(16_384), written);
    await expect(newKeySet().keyFor(HEADER)).rejects.toMatchObject({ code: 'service_unavailable' });
    await expect.poll(() => issuer.state.open).toBe(0);
    // Besides what was read, what the sockets' buffers hold.
    expect(written.bytes).toBeLessThan(32 * MEBIBYTE);
    expect(String(errors[0])).toContain('larger than');
  });

  it('that compresses a large document is judged by its true size', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * MEBIBYTE, ' '));
    expect(bomb.length).toBeLessThan(MEBIBYTE);
    issuer.state.answer = (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    await expect(newKeySet().keyFor(HEADER)).rejects.toMatchObject({ code: 'service_unavailable' });
    expect(String(errors[0])).toContain('larger than');
  });

  it.each([301, 302, 303, 307, 308])(
    'that sends the router elsewhere (%i) is not followed',
    async (status) => {
      issuer.state.answer = (_, response) =>
        response.writeHead(status, { location: `${internal.url}/latest/meta-data` }).end();
      await expect(newKeySet().keyFor(HEADER)).rejects.toMatchObject({ code: 'service_unavailable' });
      expect(internal.state.requests).toBe(0);
    },
  );

  it('that sends the router in a circle is asked once', async () => {
    issuer.state.answer = (_, response) => response.writeHead(302, { location: `${issuer.url}/jwks` }).end();
    await expect(newKeySet().keyFor(HEADER)).rejects.toMatchObject({ code: 'service_unavailable' });
    expect(issuer.state.requests).toBe(1);
  });

  it('that publishes thousands of keys is heard for its first hundred', async () => {
    const small = { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(32, 7).toString('base64url') };
    const many = Array.from({ length: 2_500 }, (_, i) => ({ ...small, kid: `k${i}` }));
    expect(setOf(...many).length).toBeLessThan(262_144);
    issuer.state.answer = (_, response) => response.end(setOf(...many));
    const keys = newKeySet();
    expect(await keys.keyFor({ alg: 'EdDSA', kid: 'k99' })).not.toBeNull();
    expect(await keys.keyFor({ alg: 'EdDSA', kid: 'k100' })).toBeNull();
  });

  it('that publishes a key of a hundred thousand bytes has that key left out', async () => {
    const huge = { ...jwk, kid: 'huge', n: Buffer.alloc(100_000, 0xfb).toString('base64url') };
    issuer.state.answer = (_, response) => response.end(setOf(huge, jwk));
    const keys = newKeySet();
    expect(await keys.keyFor({ alg: 'RS256', kid: 'huge' })).toBeNull();
    expect(await keys.keyFor(HEADER)).not.toBeNull();
  });

  it('is asked once, however many wait and however slow it is', async () => {
    const asked = Promise.withResolvers<ServerResponse>();
    issuer.state.answer = (_, response) => asked.resolve(response);
    const keys = newKeySet();
    const waiting = Array.from({ length: 500 }, () => keys.keyFor(HEADER));
    (await asked.promise).end(setOf(jwk));
    expect((await Promise.all(waiting)).every((key) => key?.kid === 'one')).toBe(true);
    expect(issuer.state.requests).toBe(1);
  });

  it('that withdraws a key while its old document is still under way stops that key within five seconds', async () => {
    const asked = Promise.withResolvers<ServerResponse>();
    issuer.state.answer = (_, response) => asked.resolve(response);
    const keys = newKeySet();
    const first = keys.keyFor(HEADER);
    const response = await asked.promise;
    // What it says is as old as the question.
    issuer.state.answer = (_, next) => next.end(setOf());
    const withdrawnAt = clock;
    clock += 2_900;
    response.end(setOf(jwk));
    expect(await first).not.toBeNull();
    clock = withdrawnAt + MAX_AGE_MS + 1;
    expect(await keys.keyFor(HEADER)).toBeNull();
  });

  it('that hangs costs one request its deadline, and the others nothing while its last keys serve', async () => {
    const keys = newKeySet();
    await keys.keyFor(HEADER);
    const held: ServerResponse[] = [];
    issuer.state.answer = (_, response) => held.push(response);
    clock += MAX_AGE_MS + 1;
    const waiting = keys.keyFor(HEADER);
    await expect.poll(() => held.length).toBe(1);
    clock += 3_000;
    held.pop()?.destroy();
    expect(await waiting).not.toBeNull();
    for (let asked = 0; asked < 20; asked++) {
      clock += FAILED_RECENTLY_MS / 25;
      // Nobody answers: this resolves because it does not wait.
      expect(await keys.keyFor(HEADER)).not.toBeNull();
    }
    // One at a time all along.
    expect(held.length).toBeLessThanOrEqual(1);
    for (const response of held) response.destroy();
    clock += MAX_STALE_MS;
    issuer.state.answer = (_, response) => response.writeHead(500).end();
    await expect(keys.keyFor(HEADER)).rejects.toMatchObject({ code: 'service_unavailable' });
  });

  it('is asked anew in the background while its keys are young, and what it withdrew is known by then', async () => {
    const keys = newKeySet();
    await keys.keyFor(HEADER);
    issuer.state.answer = (_, response) => response.end(setOf());
    clock += FRESH_MS + 1;
    expect(await keys.keyFor(HEADER)).not.toBeNull();
    await expect.poll(() => keys.keyFor(HEADER)).toBeNull();
  });
});

describe('a key set with entries that are no keys', () => {
  const ODD: readonly unknown[] = [
    null,
    'RSA',
    7,
    [],
    {},
    { kty: 1 },
    { kid: 'one' },
    [jwk],
    { kty: null, n: 'x' },
  ];

  it.each(ODD.map((entry) => [JSON.stringify(entry), entry] as const))(
    '%s loses them alone: what is new comes, and what was withdrawn goes',
    async (_name, entry) => {
      issuer.state.answer = (_, response) => response.end(setOf(entry, jwk, entry));
      const keys = newKeySet();
      expect(await keys.keyFor(HEADER)).toMatchObject({ kid: 'one' });
      expect(skipped).toMatchObject([{ skipped: 2, total: 3 }]);
      issuer.state.answer = (_, response) => response.end(setOf(entry, { ...jwk, kid: 'two' }));
      expect(await keys.keyFor({ alg: 'RS256', kid: 'two' })).toMatchObject({ kid: 'two' });
      expect(await keys.keyFor(HEADER)).toBeNull();
      // A line of the log a minute, not one a fetch.
      expect(skipped).toHaveLength(1);
      expect(errors).toEqual([]);
    },
  );

  it('may have thousands of them before its keys', async () => {
    issuer.state.answer = (_, response) => response.end(setOf(...Array(5_000).fill(null), jwk));
    expect(await newKeySet().keyFor(HEADER)).toMatchObject({ kid: 'one' });
  });
});

describe('an issuer that rotates its keys', () => {
  const realKeySet = () =>
    createRemoteKeySet({ url: `${issuer.url}/jwks`, fetch, now: () => performance.now() });
  const rotated = { alg: 'RS256', kid: 'two' } as const;

  it('right after its keys were fetched: no token of the new key is refused, at one fetch for all', async () => {
    const keys = realKeySet();
    await keys.keyFor(HEADER);
    issuer.state.answer = (_, response) => response.end(setOf({ ...jwk, kid: 'two' }));
    const found = await Promise.all(Array.from({ length: 200 }, () => keys.keyFor(rotated)));
    expect(found.every((key) => key?.kid === 'two')).toBe(true);
    expect(issuer.state.requests).toBe(2);
  });

  it('while an older document is still under way: the next one is waited for', async () => {
    const keys = realKeySet();
    const asked = Promise.withResolvers<ServerResponse>();
    issuer.state.answer = (_, response) => asked.resolve(response);
    const first = keys.keyFor(HEADER);
    const response = await asked.promise;
    issuer.state.answer = (_, next) => next.end(setOf({ ...jwk, kid: 'two' }));
    const second = keys.keyFor(rotated);
    response.end(setOf(jwk));
    expect(await first).toMatchObject({ kid: 'one' });
    expect(await second).toMatchObject({ kid: 'two' });
  });

  it('and cannot be reached: the token is not called invalid', async () => {
    const keys = newKeySet();
    await keys.keyFor(HEADER);
    issuer.state.answer = (_, response) => response.writeHead(500).end();
    await expect(keys.keyFor(rotated)).rejects.toMatchObject({ code: 'service_unavailable' });
    // Nor is the issuer asked again at once: others would wait for it.
    await expect(keys.keyFor(rotated)).rejects.toMatchObject({ code: 'service_unavailable' });
    expect(issuer.state.requests).toBe(2);
    expect(await keys.keyFor(HEADER)).toMatchObject({ kid: 'one' });
  });

  it('is asked once a second at most, whatever kids tokens name', async () => {
    const keys = realKeySet();
    await keys.keyFor(HEADER);
    const startedAt = performance.now();
    let refused = 0;
    const attack = async (nth: number) => {
      for (let round = 0; performance.now() - startedAt < 2_500; round++) {
        if ((await keys.keyFor({ alg: 'RS256', kid: `random-${nth}-${round}` })) === null) refused += 1;
      }
    };
    const attacks = Promise.all(Array.from({ length: 100 }, (_, nth) => attack(nth)));
    // A known key waits for none of this.
    expect(await keys.keyFor(HEADER)).toMatchObject({ kid: 'one' });
    await attacks;
    const seconds = (performance.now() - startedAt) / 1_000;
    expect(refused).toBeGreaterThan(100);
    expect(issuer.state.requests).toBeLessThanOrEqual(2 + seconds / (COOLDOWN_MS / 1_000));
  });
});
