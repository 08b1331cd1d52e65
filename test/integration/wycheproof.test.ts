import { existsSync, readFileSync } from 'node:fs';
import { compactVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { JWT_ALGORITHMS } from '#app/schemas/trusted-issuer.ts';
import { readCompactToken } from '#router/identity/jwt/compact-token.ts';
import { readKeySet, selectKey } from '#router/identity/jwt/key-set.ts';

const DATA = new URL('../../../shared/data/jwt/', import.meta.url);

const vectorsSchema = z.object({
  testGroups: z.array(
    z.object({
      public: z.record(z.string(), z.unknown()).optional(),
      private: z.record(z.string(), z.unknown()).optional(),
      tests: z.array(z.object({ tcId: z.int(), comment: z.string(), jws: z.unknown(), result: z.string() })),
    }),
  ),
});

async function accepts(token: string, keySet: unknown): Promise<boolean> {
  const compact = readCompactToken(token);
  if (compact === null) return false;
  const key = selectKey(await readKeySet(keySet), compact.header);
  if (key === null) return false;
  return compactVerify(token, key.key, { algorithms: [...JWT_ALGORITHMS] }).then(
    () => true,
    () => false,
  );
}

/** The algorithm that a token names; anything unreadable names none. */
function algorithmOf(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).alg;
  } catch {
    return undefined;
  }
}

const present = existsSync(DATA);
if (!present) console.warn('SKIPPED: the Wycheproof vectors are not beside the project (shared/data/jwt).');

describe.skipIf(!present)('Wycheproof', () => {
  it.each(['wycheproof-jws.json', 'wycheproof-jwk.json'])('every verdict of %s is right', async (file) => {
    const { testGroups } = vectorsSchema.parse(JSON.parse(readFileSync(new URL(file, DATA), 'utf8')));
    const wrong: string[] = [];
    let accepted = 0;
    for (const group of testGroups) {
      const material = group.public ?? group.private ?? {};
      const keySet = 'keys' in material ? material : { keys: [material] };
      for (const { tcId, comment, jws, result } of group.tests) {
        const token = typeof jws === 'string' ? jws : JSON.stringify(jws);
        const algorithms: readonly unknown[] = JWT_ALGORITHMS;
        const expected = result === 'valid' && algorithms.includes(algorithmOf(token));
        const verdict = await accepts(token, keySet);
        if (verdict) accepted++;
        if (verdict !== expected) wrong.push(`${tcId} ${comment}: ${verdict ? 'accepted' : 'refused'}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(accepted).toBeGreaterThan(0);
  });
});
