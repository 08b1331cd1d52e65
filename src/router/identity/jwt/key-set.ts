import { type CryptoKey, importJWK, type JWK } from 'jose';
import { z } from 'zod';
import { parseEntries, type SkippedEntries } from '#app/parse-entries.ts';
import type { JwtAlgorithm } from '#app/schemas/trusted-issuer.ts';
import type { CompactToken } from '#router/identity/jwt/compact-token.ts';
import { isFactorableModulus } from '#router/identity/jwt/roca.ts';

/** More keys than any issuer publishes; the rest of a larger set is not looked at. */
const MAX_KEYS = 100;
const MIN_RSA_MODULUS_BYTES = 256;
/** 8,192 bits. A hostile issuer could publish a key that takes long to check and long to verify with. */
const MAX_RSA_MODULUS_BYTES = 1_024;
/** FIPS 186-5, section A.1.1: the exponent is above 2^16. With 1, every message is its own signature. */
const MIN_RSA_EXPONENT = 65_537;
const MAX_RSA_EXPONENT_BYTES = 6;

const keySetSchema = z.looseObject({ keys: z.array(z.unknown()) });
const entrySchema = z.looseObject({ kty: z.string() });

export type VerificationKey = Readonly<{ kid: string | undefined; algorithm: JwtAlgorithm; key: CryptoKey }>;

/**
 * The usable public keys of a JWK set (RFC 7517). A key serves one algorithm, told by the key itself and never
 * by a token: RSA → RS256, P-256 → ES256, Ed25519 → EdDSA. A key that says it is for encryption, for another
 * algorithm, or that is symmetric, private, short, factorable or malformed is left out, and so is an entry that is no key
 * (`onSkipped`). Throws when the set is no JWK set.
 */
export async function readKeySet(
  json: unknown,
  onSkipped?: (skipped: SkippedEntries) => void,
): Promise<VerificationKey[]> {
  const keys = parseEntries(entrySchema, keySetSchema.parse(json).keys, onSkipped);
  const read = await Promise.all(keys.slice(0, MAX_KEYS).map(readKey));
  return read.filter((key) => key !== null);
}

async function readKey(jwk: Record<string, unknown>): Promise<VerificationKey | null> {
  const algorithm = algorithmOf(jwk);
  if (algorithm === null || 'd' in jwk || 'k' in jwk) return null;
  if (jwk.alg !== undefined && jwk.alg !== algorithm && !(algorithm === 'EdDSA' && jwk.alg === 'Ed25519'))
    return null;
  if (jwk.use !== undefined && jwk.use !== 'sig') return null;
  if (Array.isArray(jwk.key_ops) && !jwk.key_ops.includes('verify')) return null;
  try {
    const { kty, crv, n, e, x, y } = jwk as JWK;
    const bare = Object.fromEntries(
      Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => value !== undefined),
    );
    const key = await importJWK(bare as JWK, algorithm);
    if (key instanceof Uint8Array) return null;
    return { kid: typeof jwk.kid === 'string' ? jwk.kid : undefined, algorithm, key };
  } catch {
    return null;
  }
}

function algorithmOf(jwk: Record<string, unknown>): JwtAlgorithm | null {
  if (jwk.kty === 'RSA') {
    return isSoundRsaKey(jwk) ? 'RS256' : null;
  }
  if (jwk.kty === 'EC' && jwk.crv === 'P-256') return 'ES256';
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return 'EdDSA';
  return null;
}

function isSoundRsaKey({ n, e }: Record<string, unknown>): boolean {
  if (typeof n !== 'string' || typeof e !== 'string') return false;
  if (n.length > MAX_RSA_MODULUS_BYTES * 2 || e.length > MAX_RSA_MODULUS_BYTES) return false;
  const modulus = Buffer.from(n, 'base64url');
  const exponent = Buffer.from(e, 'base64url');
  if (exponent.length === 0 || exponent.length > MAX_RSA_EXPONENT_BYTES) return false;
  if (modulus.length < MIN_RSA_MODULUS_BYTES || modulus.length > MAX_RSA_MODULUS_BYTES) return false;
  const soundExponent = exponent.readUIntBE(0, exponent.length) >= MIN_RSA_EXPONENT;
  return soundExponent && !isFactorableModulus(modulus);
}

/**
 * The one key that may verify a token: the `kid` it names, or the only key of its algorithm when neither side
 * names one. Never a guess among several.
 */
export function selectKey(
  keys: readonly VerificationKey[],
  header: CompactToken['header'],
): VerificationKey | null {
  const fitting = keys.filter((key) => key.algorithm === header.alg);
  const named = header.kid === undefined ? fitting : fitting.filter((key) => key.kid === header.kid);
  return named.length === 1 ? (named[0] ?? null) : null;
}
