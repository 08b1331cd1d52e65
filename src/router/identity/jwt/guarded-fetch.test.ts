import type { lookup } from 'node:dns';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { createPublicFetch, flawOfPublicUrl } from '#router/identity/jwt/guarded-fetch.ts';

test.each([
  'http://login.example.com/jwks',
  'ftp://login.example.com/',
  'https://user:secret@login.example.com/',
  'https://127.0.0.1/',
  'https://127.1/',
  'https://2130706433/',
  'https://0x7f.1/',
  'https://0177.0.0.1/',
  'https://0/',
  'https://10.1.2.3/',
  'https://172.31.0.1/',
  'https://192.168.0.1/',
  'https://100.64.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://[::1]/',
  'https://[::]/',
  'https://[::ffff:169.254.169.254]/',
  'https://[::ffff:a9fe:a9fe]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://[2002:7f00:1::]/',
  'https://[fd00:ec2::254]/',
  'https://[fe80::1]/',
  'https://localhost/',
  'https://x.localhost/',
  'https://metadata.google.internal/',
  'https://router.default.svc/',
  'https://postgres/',
  'not a url',
])('%s is not fetched for a tenant', (url) => expect(flawOfPublicUrl(url)).not.toBeNull());

test.each([
  'https://login.example.com/jwks',
  'https://93.184.215.14/',
  'https://[2606:4700::1111]/',
  'https://8.8.8.8:8443/x',
])('%s may be', (url) => expect(flawOfPublicUrl(url)).toBeNull());

/** Answers every name with these addresses, as node:dns does. */
const answering = (...addresses: { address: string; family: number }[]) =>
  ((_name: string, _options: unknown, callback: (error: null, found: unknown) => void) =>
    callback(null, addresses)) as unknown as typeof lookup;

test('a public name with an internal address is not connected to, nor one that has both', async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const init = { redirect: 'error', headers: {}, signal: AbortSignal.timeout(5_000) } as const;
  const internal = { address: '127.0.0.1', family: 4 };
  for (const found of [[internal], [{ address: '2606:4700::1111', family: 6 }, internal], []]) {
    const { fetch, close } = createPublicFetch(answering(...found));
    await expect(fetch(`https://login.example.com:${port}/`, init)).rejects.toMatchObject({
      cause: { message: 'login.example.com has an internal address.' },
    });
    await close();
  }
  expect(connections).toBe(0);
  await new Promise((resolve) => server.close(resolve));
});
