import { createHmac, randomBytes } from 'node:crypto';
import { sortableId } from '#app/ids.ts';

const API_KEY = /^bk_([0-9a-z]{26})_([A-Za-z0-9_-]{43})$/;

/** The two halves of `bk_<id>_<secret>`: the id finds the key, the secret proves it. */
export type ApiKeyParts = Readonly<{ keyId: string; secret: string }>;

/** null for anything that is not shaped like a key. */
export function parseApiKey(text: string): ApiKeyParts | null {
  const [, keyId, secret] = API_KEY.exec(text) ?? [];
  return keyId === undefined || secret === undefined ? null : { keyId, secret };
}

/** A key that never existed before: 32 random bytes of secret. */
export function newApiKey(): ApiKeyParts {
  return { keyId: sortableId(), secret: randomBytes(32).toString('base64url') };
}

export const formatApiKey = ({ keyId, secret }: ApiKeyParts): string => `bk_${keyId}_${secret}`;

/** What is stored of a secret. Without the pepper, a stolen table cannot even be searched for known secrets. */
export const hmacOfSecret = (pepper: string, secret: string): Buffer =>
  createHmac('sha256', pepper).update(secret).digest();
