import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '#cli/connection.ts';
import { createTestIo } from '#test/support/test-io.ts';

let cwd: string;
let empty: string;
const demo = {
  url: 'http://127.0.0.1:4567',
  operator_key: 'operator',
  tenants: [
    { tenant_id: 'acme', api_key: 'acme-member', admin_key: 'acme-admin', user_id: 'alice' },
    { tenant_id: 'globex', api_key: 'globex-member', admin_key: 'globex-admin', user_id: 'bob' },
  ],
};
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'bulkhead-connection-'));
  empty = await mkdtemp(join(tmpdir(), 'bulkhead-connection-'));
  await writeFile(join(cwd, 'demo.json'), JSON.stringify(demo));
});
afterAll(async () => {
  await rm(cwd, { recursive: true, force: true });
  await rm(empty, { recursive: true, force: true });
});

/** The key is seen where it goes: in the request. */
async function keyAndUrl(
  options: Parameters<typeof connect>[1],
  kind: Parameters<typeof connect>[2],
  env: Record<string, string> = {},
) {
  const io = createTestIo({ cwd, env: { BULKHEAD_DATA_DIR: '.', ...env } });
  const { url, key } = await connect(io, options, kind);
  return { url, key };
}

describe('connect', () => {
  it('uses the server that runs here, as the first demo tenant', async () => {
    expect(await keyAndUrl({}, 'member')).toEqual({ url: demo.url, key: 'acme-member' });
    expect(await keyAndUrl({}, 'admin')).toMatchObject({ key: 'acme-admin' });
    expect(await keyAndUrl({}, 'operator')).toMatchObject({ key: 'operator' });
    expect(await keyAndUrl({ tenant: 'globex' }, 'member')).toMatchObject({ key: 'globex-member' });
  });

  it('prefers options over the environment, and that over the data directory', async () => {
    const env = { BULKHEAD_API_KEY: 'from-env', BULKHEAD_URL: 'http://env:1' };
    expect(await keyAndUrl({}, 'member', env)).toEqual({ url: 'http://env:1', key: 'from-env' });
    expect(await keyAndUrl({ key: 'k', url: 'http://o:2/' }, 'member', env)).toEqual({
      url: 'http://o:2',
      key: 'k',
    });
  });

  it('takes a tenant that is asked for over the key of the environment', async () => {
    expect(await keyAndUrl({ tenant: 'globex' }, 'member', { BULKHEAD_API_KEY: 'x' })).toMatchObject({
      key: 'globex-member',
    });
  });

  it('never sends the keys of the server here to another one', async () => {
    for (const kind of ['member', 'admin', 'operator'] as const) {
      await expect(keyAndUrl({ url: 'https://elsewhere.example' }, kind)).rejects.toThrow(
        /No .*key: give --key.* are of http:\/\/127\.0\.0\.1:4567, and go to no other server\./,
      );
    }
    await expect(keyAndUrl({ url: 'https://elsewhere.example', tenant: 'acme' }, 'member')).rejects.toThrow(
      /^No API key: give --key\. .* go to no other server\.$/,
    );
  });

  it('says which tenants there are, and what to do without any', async () => {
    await expect(keyAndUrl({ tenant: 'initech' }, 'member')).rejects.toThrow('acme, globex');
    const io = createTestIo({ cwd: empty });
    await expect(connect(io, {}, 'member')).rejects.toThrow('npm start');
  });

  it('finds the operator’s key among the secrets when there is no demo', async () => {
    await writeFile(join(empty, 'secrets.json'), JSON.stringify({ operator_key: 'from-secrets' }));
    await writeFile(join(empty, 'server.json'), JSON.stringify({ url: 'http://127.0.0.1:9999' }));
    const io = createTestIo({ cwd: empty, env: { BULKHEAD_DATA_DIR: '.' } });
    expect(await connect(io, {}, 'operator')).toMatchObject({
      url: 'http://127.0.0.1:9999',
      key: 'from-secrets',
    });
    await expect(connect(io, { url: 'https://elsewhere.example' }, 'operator')).rejects.toThrow(
      /No operator/,
    );
  });

  it('refuses what is no URL', async () => {
    await expect(keyAndUrl({ url: 'localhost:8080' }, 'member')).rejects.toMatchObject({ exitCode: 2 });
  });
});
