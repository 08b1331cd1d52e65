import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createInternalTokenMinter, createInternalTokenVerifier } from '#app/http/internal-token.ts';
import { settingsSchema } from '#app/settings/settings.ts';
import { loadSecrets } from '#cli/up/secrets.ts';
import { testContext } from '#test/support/test-context.ts';

const NONE = {
  API_KEY_PEPPER: undefined,
  CACHE_SALT_SECRET: undefined,
  INTERNAL_TOKEN_PRIVATE_KEY: undefined,
  INTERNAL_TOKEN_PUBLIC_KEY: undefined,
  OPERATOR_KEY: undefined,
};

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bulkhead-secrets-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('loadSecrets', () => {
  it('makes them once, readable by their owner alone', async () => {
    const first = await loadSecrets(directory, NONE);
    expect(await readdir(directory)).toEqual(['secrets.json']);
    expect((await stat(join(directory, 'secrets.json'))).mode & 0o777).toBe(0o600);
    expect(await loadSecrets(directory, NONE)).toEqual(first);
  });

  it('makes secrets that the settings would accept, different for each directory', async () => {
    const secrets = await loadSecrets(directory, NONE);
    expect(settingsSchema.shape.OPERATOR_KEY.safeParse(secrets.operatorKey).success).toBe(true);
    const other = await loadSecrets(await mkdtemp(join(directory, 'other-')), NONE);
    expect(other.apiKeyPepper).not.toBe(secrets.apiKeyPepper);
    expect(other.operatorKey).not.toBe(secrets.operatorKey);
  });

  it('makes a key pair that signs and verifies internal tokens', async () => {
    const secrets = await loadSecrets(directory, NONE);
    const minter = await createInternalTokenMinter(secrets.internalTokenPrivateKey);
    const verifier = await createInternalTokenVerifier(secrets.internalTokenPublicKey, 'rag-service');
    const context = testContext('acme', 'alice');
    expect(await verifier.verify(await minter.tokenFor(context, 'rag-service'))).toEqual(context);
  });

  it('prefers what the environment says', async () => {
    const pepper = 'p'.repeat(32);
    expect(await loadSecrets(directory, { ...NONE, API_KEY_PEPPER: pepper })).toMatchObject({
      apiKeyPepper: pepper,
    });
    expect(await readFile(join(directory, 'secrets.json'), 'utf8')).not.toContain(pepper);
  });

  it('never replaces a damaged file, and never shows what is in it', async () => {
    await writeFile(join(directory, 'secrets.json'), '{"api_key_pepper": "very-secret"');
    const refused = loadSecrets(directory, NONE);
    await expect(refused).rejects.toThrow(/damaged/);
    await expect(refused).rejects.not.toThrow(/very-secret/);
  });

  it('refuses a private key that is none', async () => {
    const refused = loadSecrets(directory, { ...NONE, INTERNAL_TOKEN_PRIVATE_KEY: 'nonsense' });
    await expect(refused).rejects.toThrow(/INTERNAL_TOKEN_PRIVATE_KEY/);
  });
});
