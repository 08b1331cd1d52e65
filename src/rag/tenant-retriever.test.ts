import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDocumentId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import type { MultiTenantVaultChunk } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { silentLogger } from '#observability/logger.ts';
import type { VaultHit, VaultIndex } from '#rag/index/vault-index.ts';
import { createIsolationAlarm } from '#rag/isolation-alarm.ts';
import { createTenantRetriever } from '#rag/tenant-retriever.ts';
import { createTestRag, type TestRag } from '#test/support/create-test-rag.ts';
import { axisVector, indexedChunk } from '#test/support/describe-vault-index.ts';
import { testContext } from '#test/support/test-context.ts';

const never = new AbortController().signal;
const alice = testContext('acme', 'alice');

let bench: TestRag;
beforeAll(async () => {
  bench = await createTestRag(['acme']);
});
afterAll(() => bench.close());

/** An index whose search has lost its filters: what the check behind it is for. */
function brokenIndex(hits: readonly VaultHit[]): VaultIndex {
  const fail = () => Promise.reject(new Error('not used'));
  return {
    search: async () => [...hits],
    replaceDocument: fail,
    removeDocuments: fail,
    count: fail,
    findVectors: fail,
    listDocuments: fail,
    optimize: fail,
    clear: fail,
    erase: fail,
    close: fail,
  };
}

const hit = (change: Partial<MultiTenantVaultChunk>): VaultHit => {
  const { chunk } = indexedChunk(alice, newDocumentId(), 0, { text: 'x' });
  return { chunk: { ...chunk, ...change }, vector: axisVector(0), score: 1 };
};

describe('the check after retrieval', () => {
  const foreign: [what: string, change: Partial<MultiTenantVaultChunk>][] = [
    ['another tenant', { tenant_id: tenantIdSchema.parse('globex') }],
    ['another tenant, shared there', { tenant_id: tenantIdSchema.parse('globex'), visibility: 'tenant' }],
    ['another user', { user_id: userIdSchema.parse('bob') }],
    ['a user who differs in case', { user_id: userIdSchema.parse('Alice') }],
  ];
  it.each(foreign)('discards everything for one chunk of %s', async (_what, change) => {
    const alarm = createIsolationAlarm({ logger: silentLogger });
    const { embedder, open } = bench;
    const index = brokenIndex([hit({}), hit(change), hit({})]);
    const retriever = createTenantRetriever({ index, embedder, database: open.database, alarm });
    const request = { query: 'x', top_k: 1, diversity: 0 };
    await expect(retriever.retrieveForTenant(alice, request, never)).rejects.toMatchObject({
      code: 'internal_error',
    });
    expect(alarm.count).toBe(1);
  });

  it('passes over chunks whose document the database does not show', async () => {
    const alarm = createIsolationAlarm({ logger: silentLogger });
    const { embedder, open } = bench;
    const index = brokenIndex([hit({}), hit({ visibility: 'tenant', user_id: userIdSchema.parse('bob') })]);
    const retriever = createTenantRetriever({ index, embedder, database: open.database, alarm });
    const request = { query: 'x', top_k: 1, diversity: 0 };
    expect((await retriever.retrieveForTenant(alice, request, never)).chunks).toEqual([]);
    expect(alarm.count).toBe(0);
  });
});
