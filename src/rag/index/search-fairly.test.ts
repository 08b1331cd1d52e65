import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLanceVaultIndex } from '#rag/index/lance-vault-index.ts';
import { searchFairly } from '#rag/index/search-fairly.ts';
import type { VaultIndex } from '#rag/index/vault-index.ts';
import { testContext } from '#test/support/test-context.ts';

let directory: string;
let index: VaultIndex;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bulkhead-search-fairly-'));
  const lance = await createLanceVaultIndex({
    directory,
    dimensions: 4,
    embedderId: 'test',
    onBackgroundError: () => {},
  });
  index = searchFairly(lance, 2);
});
afterAll(async () => {
  await index.close();
  await rm(directory, { recursive: true, force: true });
});

test('searches of one tenant delay another’s by one, and everything else is the index’s own', async () => {
  const order: string[] = [];
  const search = async (tenant: string) => {
    await index.search(
      testContext(tenant),
      { query: { mode: 'words', text: 'office' }, limit: 5 },
      new AbortController().signal,
    );
    order.push(tenant);
  };
  await Promise.all([...Array.from({ length: 50 }, () => search('globex')), search('acme')]);
  expect(order.indexOf('acme')).toBeLessThan(3);
  expect(await index.count(testContext('acme'))).toBe(0);
});
