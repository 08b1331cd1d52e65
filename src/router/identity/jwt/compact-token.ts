import { z } from 'zod';
import { JWT_ALGORITHMS } from '#app/schemas/trusted-issuer.ts';
import { hasDuplicateKeys } from '#router/identity/jwt/duplicate-keys.ts';

/** Longer tokens are refused unread. */
export const MAX_TOKEN_CHARACTERS = 8_192;

const headerSchema = z.looseObject({
  alg: z.enum(JWT_ALGORITHMS),
  kid: z.string().min(1).max(512).optional(),
  typ: z.string().max(64).optional(),
});

export type CompactToken = Readonly<{ header: z.infer<typeof headerSchema>; payload: Uint8Array }>;

const PART = /^[A-Za-z0-9_-]*$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a compact JWS (RFC 7515, section 7.1) without trusting it, or returns null where it is not exactly
 * one. Strict where decoders are lenient: no padding, no white space, no bits beyond the last byte, no
 * duplicate keys, no `crit`, no key inside the token. Its signature is checked by the caller.
 */
export function readCompactToken(token: string): CompactToken | null {
  if (token.length > MAX_TOKEN_CHARACTERS) return null;
  const parts = token.split('.');
  const [encodedHeader, encodedPayload, encodedSignature] = parts;
  if (parts.length !== 3 || encodedHeader === undefined || encodedPayload === undefined) return null;
  if (encodedSignature === undefined || decode(encodedSignature) === null) return null;
  const payload = decode(encodedPayload);
  const headerBytes = decode(encodedHeader);
  if (payload === null || headerBytes === null) return null;
  const header = headerSchema.safeParse(parseJsonObject(headerBytes));
  if (!header.success) return null;
  // `crit` names extensions that must be understood, and none is; a key in the token proves nothing.
  if ('crit' in header.data || 'b64' in header.data || 'jwk' in header.data || 'zip' in header.data)
    return null;
  return { header: header.data, payload };
}

/** The bytes of canonical base64url, or null. Encoding them again must give the same text. */
function decode(encoded: string): Buffer | null {
  if (!PART.test(encoded)) return null;
  const bytes = Buffer.from(encoded, 'base64url');
  return bytes.toString('base64url') === encoded ? bytes : null;
}

/** The JSON object that the bytes spell, or null: not UTF-8, not JSON, not an object, or a key twice. */
export function parseJsonObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value) || hasDuplicateKeys(text))
      return null;
    return { ...value };
  } catch {
    return null;
  }
}
