import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newDocumentId } from '#app/ids.ts';
import { createLanceVaultIndex, type LanceVaultIndexOptions } from '#rag/index/lance-vault-index.ts';
import type { VaultIndex } from '#rag/index/vault-index.ts';
import {
  axisVector,
  CONFORMANCE_DIMENSIONS,
  describeVaultIndex,
  indexedChunk,
} from '#test/support/describe-vault-index.ts';
import { testContext } from '#test/support/test-context.ts';

const never = new AbortController().signal;

function openIndex(directory: string, options: Partial<LanceVaultIndexOptions> = {}): Promise<VaultIndex> {
  return createLanceVaultIndex({
    directory,
    dimensions: CONFORMANCE_DIMENSIONS,
    embedderId: 'test-embedder',
    onBackgroundError: (error) => {
      throw error;
    },
    ...options,
  });
}

describeVaultIndex('LanceDB', {
  context: (tenantId, userId) => testContext(tenantId, userId),
  async open() {
    const directory = await mkdtemp(join(tmpdir(), 'lance-'));
    const index = await openIndex(directory);
    let current = index;
    return {
      index,
      async reopen() {
        current = await openIndex(directory);
        return current;
      },
      async dispose() {
        await current.close();
        await rm(directory, { recursive: true, force: true });
      },
    };
  },
});

describe('the index on disk', () => {
  const alice = testContext('acme', 'alice');
  let directory: string;
  let index: VaultIndex;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lance-'));
    index = await openIndex(directory);
  });
  afterEach(async () => {
    await index.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function put(tenantId: string, text: string) {
    const owner = testContext(tenantId, 'alice');
    const id = newDocumentId();
    await index.replaceDocument(owner, id, [indexedChunk(owner, id, 0, { text })]);
    return { owner, id };
  }
  const find = (tenantId: string) =>
    index.search(
      testContext(tenantId),
      { query: { mode: 'dense', vector: axisVector(0) }, limit: 10 },
      never,
    );

  it('is a directory a tenant, made by writes alone', async () => {
    expect(await find('globex')).toEqual([]);
    await put('acme', 'x');
    expect(await readdir(directory)).toEqual(['acme']);
  });

  it('is empty for another embedder, and made anew by its first write', async () => {
    await put('acme', 'x');
    await index.close();
    index = await openIndex(directory, { embedderId: 'another' });
    expect(await find('acme')).toEqual([]);
    expect((await index.listDocuments(alice)).size).toBe(0);
    await put('acme', 'y');
    expect((await find('acme')).map((hit) => hit.chunk.text)).toEqual(['y']);
  });

  it('is made anew where a killed process left it half made', async () => {
    await mkdir(join(directory, 'acme', 'chunks.lance'), { recursive: true });
    await writeFile(join(directory, 'acme', 'chunks.lance', 'half'), 'half');
    expect(await find('acme')).toEqual([]);
    await put('acme', 'x');
    expect(await find('acme')).toHaveLength(1);
  });

  it('keeps few tables open, and opens the others again', async () => {
    await index.close();
    index = await openIndex(directory, { maxOpenTenants: 2 });
    const tenants = ['a1', 'a2', 'a3', 'a4', 'a5'];
    for (const tenantId of tenants) await put(tenantId, tenantId);
    await Promise.all(
      [...tenants, ...tenants, ...tenants].map(async (tenantId) => {
        expect((await find(tenantId)).map((hit) => hit.chunk.text)).toEqual([tenantId]);
      }),
    );
  });

  it('holds no text of a removed document any more once it was compacted', async () => {
    const { owner, id } = await put('acme', 'zanzibarsecret');
    await put('acme', 'stays');
    await index.removeDocuments(owner, [id]);
    await index.optimize(owner);
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = await readFile(join(entry.parentPath, entry.name));
      expect(bytes.includes('zanzibarsecret'), join(entry.parentPath, entry.name)).toBe(false);
    }
  });

  it('finds as much over graphs, however narrow the filter, as exactly', async () => {
    await index.close();
    index = await openIndex(directory, { exactSearchMaxRows: 300 });
    const [bob, ids] = [
      testContext('acme', 'bob'),
      [newDocumentId(), newDocumentId(), newDocumentId()] as const,
    ];
    // Points on a circle: neighbours are known by their number.
    const at = (i: number) => axisVector(0, (2 * Math.PI * i) / 1_000);
    const points = (owner: typeof alice, id: (typeof ids)[number], places: number[]) =>
      places.map((place, i) => indexedChunk(owner, id, i, { text: `at ${place}`, vector: at(place) }));
    await index.replaceDocument(alice, ids[0], points(alice, ids[0], [...Array(1_000).keys()]));
    await index.replaceDocument(bob, ids[1], points(bob, ids[1], [3, 500, 900]));
    await index.optimize(alice);
    // Written after the graphs were made.
    await index.replaceDocument(bob, ids[2], points(bob, ids[2], [10]));
    const near = async (who: typeof alice, limit: number) => {
      const found = await index.search(who, { query: { mode: 'dense', vector: at(7) }, limit }, never);
      return found.map((hit) => Number(hit.chunk.text.slice(3)));
    };
    expect((await near(alice, 5)).sort((a, b) => a - b)).toEqual([5, 6, 7, 8, 9]);
    expect(await near(bob, 10)).toEqual([10, 3, 900, 500]);
    expect(await near(alice, 200)).toHaveLength(200);
  });
});
