import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { z } from 'zod';

const storedAnswerSchema = z.object({
  status: z.int(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
});
export type StoredAnswer = z.infer<typeof storedAnswerSchema>;

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** What is stored of requests and answers: HMACs, and ciphertext that belongs to one fingerprint. */
export interface SealedAnswers {
  /** A keyed hash of these parts, hex; no two lists of parts have the same. */
  hmac(...parts: readonly string[]): string;
  seal(fingerprint: string, answer: StoredAnswer): string;
  /** Throws where it was sealed with another pepper, for another fingerprint, or was changed. */
  open(fingerprint: string, sealed: string): StoredAnswer;
}

/** Keys are derived from API_KEY_PEPPER: whoever reads the table reads no new API key in it. */
export function createSealedAnswers(pepper: string): SealedAnswers {
  const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', pepper, '', purpose, 32));
  const sealKey = derive('bulkhead idempotent answers');
  const hmacKey = derive('bulkhead idempotency keys');
  return {
    hmac: (...parts) => createHmac('sha256', hmacKey).update(JSON.stringify(parts)).digest('hex'),
    seal(fingerprint, answer) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', sealKey, iv, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(fingerprint));
      const sealed = Buffer.concat([cipher.update(JSON.stringify(answer)), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64');
    },
    open(fingerprint, sealed) {
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', sealKey, bytes.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(fingerprint));
      decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
      return storedAnswerSchema.parse(JSON.parse(text.toString()));
    },
  };
}
