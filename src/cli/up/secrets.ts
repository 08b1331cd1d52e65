import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '#app/data-directory/code-of.ts';
import { createExclusively } from '#app/data-directory/create-exclusively.ts';
import { sortableId } from '#app/ids.ts';
import { type Settings, settingsSchema } from '#app/settings/settings.ts';
import { CliError } from '#cli/cli-error.ts';

const secretsSchema = z.object({
  api_key_pepper: settingsSchema.shape.API_KEY_PEPPER.unwrap(),
  cache_salt_secret: settingsSchema.shape.CACHE_SALT_SECRET.unwrap(),
  internal_token_private_key: z.string().startsWith('-----BEGIN PRIVATE KEY-----'),
  operator_key: settingsSchema.shape.OPERATOR_KEY.unwrap(),
});
type StoredSecrets = z.infer<typeof secretsSchema>;

/** The secrets that a process needs, from its settings or else from the data directory. */
export type Secrets = Readonly<{
  apiKeyPepper: string;
  cacheSaltSecret: string;
  internalTokenPrivateKey: string;
  internalTokenPublicKey: string;
  operatorKey: string;
}>;

type SecretSettings = Pick<
  Settings,
  | 'API_KEY_PEPPER'
  | 'CACHE_SALT_SECRET'
  | 'INTERNAL_TOKEN_PRIVATE_KEY'
  | 'INTERNAL_TOKEN_PUBLIC_KEY'
  | 'OPERATOR_KEY'
>;

/**
 * Reads `secrets.json` (mode 0600) of the data directory, making it on the first start. The caller holds the
 * directory's lock. A file that is damaged is never replaced: the stored key hashes depend on its pepper.
 */
export async function loadSecrets(directory: string, settings: SecretSettings): Promise<Secrets> {
  const file = join(directory, 'secrets.json');
  const stored = (await readSecrets(file)) ?? (await createSecrets(file));
  const privateKey = settings.INTERNAL_TOKEN_PRIVATE_KEY ?? stored.internal_token_private_key;
  return {
    apiKeyPepper: settings.API_KEY_PEPPER ?? stored.api_key_pepper,
    cacheSaltSecret: settings.CACHE_SALT_SECRET ?? stored.cache_salt_secret,
    internalTokenPrivateKey: privateKey,
    internalTokenPublicKey: publicKeyOf(privateKey),
    operatorKey: settings.OPERATOR_KEY ?? stored.operator_key,
  };
}

function publicKeyOf(privateKeyPem: string): string {
  try {
    return createPublicKey(privateKeyPem).export({ type: 'spki', format: 'pem' }).toString();
  } catch (error) {
    throw new CliError('INTERNAL_TOKEN_PRIVATE_KEY is no private key in PKCS #8 PEM.', { cause: error });
  }
}

async function readSecrets(file: string): Promise<StoredSecrets | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw new CliError(`The secrets in ${file} cannot be read.`, { cause: error });
  }
  try {
    return secretsSchema.parse(JSON.parse(text));
  } catch (error) {
    // The cause may quote the file: it stays out of the message.
    throw new CliError(
      `The secrets in ${file} are damaged. Restore the file from a backup; without it, every API key that was ` +
        'made is void. To start anew, remove the whole data directory.',
      { cause: error },
    );
  }
}

async function createSecrets(file: string): Promise<StoredSecrets> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const secrets: StoredSecrets = {
    api_key_pepper: randomBytes(32).toString('base64url'),
    cache_salt_secret: randomBytes(32).toString('base64url'),
    internal_token_private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    operator_key: `bk_${sortableId()}_${randomBytes(32).toString('base64url')}`,
  };
  await createExclusively(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}
