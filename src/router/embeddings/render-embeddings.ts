import type { TenantId } from '#app/ids.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';

/** Numbers that are written before other requests have their turn: some 5 ms. */
const NUMBERS_A_TURN = 20_000;

/**
 * The answer as JSON, written here: 2,048 vectors are 800,000 numbers, which a schema's serializer would look at one by
 * one while nobody else is served.
 */
export async function renderEmbeddings(options: {
  vectors: readonly Float32Array[];
  encoding: 'float' | 'base64';
  model: string;
  tokens: number;
  tenantId: TenantId;
}): Promise<string> {
  const { vectors, encoding, model, tokens, tenantId } = options;
  const items: string[] = [];
  let sinceTurn = 0;
  for (const [index, vector] of vectors.entries()) {
    const embedding = encoding === 'base64' ? `"${base64Of(vector)}"` : `[${vector.join(',')}]`;
    items.push(`{"object":"embedding","index":${index},"embedding":${embedding}}`);
    sinceTurn += vector.length;
    if (sinceTurn < NUMBERS_A_TURN) continue;
    sinceTurn = 0;
    await turnOfTenant(tenantId);
  }
  const usage = JSON.stringify({ prompt_tokens: tokens, total_tokens: tokens });
  return `{"object":"list","data":[${items.join(',')}],"model":${JSON.stringify(model)},"usage":${usage}}`;
}

/** Little-endian float32, as every machine that Node runs on has them in memory. */
const base64Of = ({ buffer, byteOffset, byteLength }: Float32Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');
