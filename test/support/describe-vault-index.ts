import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chunkIdSchema, type DocumentId, newDocumentId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { VaultFilter } from '#rag/index/vault-filter.ts';
import type { IndexedChunk, VaultHit, VaultIndex, VaultQuery } from '#rag/index/vault-index.ts';

export const CONFORMANCE_DIMENSIONS = 8;

const never = new AbortController().signal;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** A unit vector that leans to one axis; `tilt` turns it towards the next. */
export function axisVector(axis: number, tilt = 0): Float32Array {
  const vector = new Float32Array(CONFORMANCE_DIMENSIONS);
  vector[axis % CONFORMANCE_DIMENSIONS] = Math.cos(tilt);
  vector[(axis + 1) % CONFORMANCE_DIMENSIONS] = Math.sin(tilt);
  return vector;
}

export function indexedChunk(
  owner: TenantContext,
  documentId: DocumentId,
  ordinal: number,
  fields: {
    text: string;
    vector?: Float32Array;
    visibility?: 'private' | 'tenant';
    page?: number | null;
    title?: string;
  },
): IndexedChunk {
  const {
    text,
    vector = axisVector(ordinal),
    visibility = 'private',
    page = null,
    title = 'A title',
  } = fields;
  return {
    chunk: {
      chunk_id: chunkIdSchema.parse(`${documentId}-${ordinal}`),
      tenant_id: owner.tenantId,
      user_id: owner.userId,
      visibility,
      collection: 'default',
      document_id: documentId,
      title,
      ordinal,
      text,
      heading_path: ['Guide', 'Part'],
      page,
      start_offset: 10 * ordinal,
      end_offset: 10 * ordinal + text.length,
      token_count: 5,
      content_hash: sha256('file'),
    },
    searchText: text,
    searchTextHash: sha256(text),
    vector,
  };
}

/**
 * What every {@link VaultIndex} must do, whatever engine is below. Call it in a test file with a way to open an
 * empty index of 8 dimensions, and with contexts of two tenants.
 */
export function describeVaultIndex(
  name: string,
  setUp: {
    open(): Promise<{ index: VaultIndex; reopen(): Promise<VaultIndex>; dispose(): Promise<void> }>;
    context(tenantId: string, userId: string): TenantContext;
  },
): void {
  describe(`${name} as a vault index`, () => {
    const alice = setUp.context('acme', 'alice');
    const bob = setUp.context('acme', 'bob');
    const eve = setUp.context('globex', 'alice');
    const dense = (axis = 0): VaultQuery => ({ mode: 'dense', vector: axisVector(axis) });
    const words = (text: string): VaultQuery => ({ mode: 'words', text });
    const texts = (hits: readonly VaultHit[]) => hits.map((hit) => hit.chunk.text);

    let index: VaultIndex;
    let reopen: () => Promise<VaultIndex>;
    let dispose: () => Promise<void>;
    beforeEach(async () => {
      ({ index, reopen, dispose } = await setUp.open());
    });
    afterEach(() => dispose());

    const search = (context: TenantContext, query: VaultQuery, limit = 10, filter?: VaultFilter) =>
      index.search(context, { query, limit, ...(filter === undefined ? {} : { filter }) }, never);

    async function put(
      owner: TenantContext,
      chunkTexts: readonly string[],
      fields: { visibility?: 'private' | 'tenant'; page?: number; title?: string } = {},
    ): Promise<DocumentId> {
      const id = newDocumentId();
      const chunks = chunkTexts.map((text, i) => indexedChunk(owner, id, i, { text, ...fields }));
      await index.replaceDocument(owner, id, chunks);
      return id;
    }

    it('finds nothing where nothing was put', async () => {
      for (const query of [
        dense(),
        words('x'),
        { mode: 'hybrid', text: 'x', vector: axisVector(0) } as const,
      ]) {
        expect(await search(alice, query)).toEqual([]);
      }
      expect(await index.count(alice)).toBe(0);
      expect((await index.listDocuments(alice)).size).toBe(0);
      await index.removeDocuments(alice, [newDocumentId()]);
      await index.optimize(alice);
      await index.clear(alice);
    });

    it('returns chunks exactly as they were put', async () => {
      const id = newDocumentId();
      const text = 'Quotes \' " and \\ and 日本語 and 😀\nand a line';
      const put = indexedChunk(alice, id, 3, { text, page: 7, title: "O'Neil" });
      await index.replaceDocument(alice, id, [put]);
      const [hit] = await search(alice, dense(3));
      expect(hit?.chunk).toEqual(put.chunk);
      expect([...(hit?.vector ?? [])]).toEqual([...put.vector]);
      expect(hit?.score).toBeCloseTo(1, 4);
    });

    it('ranks by vector, by words, and by both', async () => {
      await put(alice, ['the quick fox', 'a lazy dog', 'fox and dog together']);
      expect(texts(await search(alice, dense(1), 1))).toEqual(['a lazy dog']);
      expect(texts(await search(alice, words('lazy'), 5))).toEqual(['a lazy dog']);
      expect(texts(await search(alice, words('QUICK foxes'), 5))[0]).toBe('the quick fox');
      const hybrid = await search(alice, { mode: 'hybrid', text: 'lazy', vector: axisVector(1) });
      expect(texts(hybrid)[0]).toBe('a lazy dog');
      expect(hybrid).toHaveLength(3);
      for (const [i, hit] of hybrid.entries())
        expect(hit.score).toBeLessThanOrEqual(hybrid[i - 1]?.score ?? 1);
    });

    it('returns min(limit, eligible) hits however narrow the filter', async () => {
      const wanted = await put(bob, ['one', 'two', 'three'], { visibility: 'tenant' });
      for (let i = 0; i < 12; i++)
        await put(
          alice,
          Array.from({ length: 10 }, (_, j) => `noise ${i} ${j}`),
        );
      const filter: VaultFilter = { op: 'in', field: 'document_id', values: [wanted] };
      for (const query of [dense(), { mode: 'hybrid', text: 'noise', vector: axisVector(0) } as const]) {
        expect(await search(alice, query, 5, filter)).toHaveLength(3);
        expect(await search(alice, query, 2, filter)).toHaveLength(2);
        expect(await search(bob, query, 50)).toHaveLength(3);
        expect(await search(alice, query, 50)).toHaveLength(50);
      }
    });

    it('shows a user their own chunks and the shared ones, and no tenant another’s', async () => {
      await put(alice, ['alice private']);
      await put(alice, ['alice shared'], { visibility: 'tenant' });
      await put(bob, ['bob private']);
      await put(eve, ['globex shared'], { visibility: 'tenant' });
      const seen = async (context: TenantContext) => texts(await search(context, dense())).sort();
      expect(await seen(alice)).toEqual(['alice private', 'alice shared']);
      expect(await seen(bob)).toEqual(['alice shared', 'bob private']);
      expect(await seen(eve)).toEqual(['globex shared']);
      expect(texts(await search(bob, words('private'))).sort()).toEqual(['bob private']);
      expect([await index.count(alice), await index.count(bob), await index.count(eve)]).toEqual([2, 2, 1]);
    });

    it('refuses to hold a chunk of another tenant or document', async () => {
      const id = newDocumentId();
      await expect(
        index.replaceDocument(alice, id, [indexedChunk(eve, id, 0, { text: 'x' })]),
      ).rejects.toMatchObject({ code: 'internal_error' });
      await expect(
        index.replaceDocument(alice, id, [indexedChunk(alice, newDocumentId(), 0, { text: 'x' })]),
      ).rejects.toMatchObject({ code: 'internal_error' });
      expect(await index.count(alice)).toBe(0);
    });

    it('replaces a document as a whole: a search sees the earlier chunks or the later ones', async () => {
      const id = newDocumentId();
      const version = (n: number, size: number) =>
        Array.from({ length: size }, (_, i) =>
          indexedChunk(alice, id, i, { text: `v${n}`, visibility: 'tenant' }),
        );
      await put(bob, ['bystander'], { visibility: 'tenant' });
      await index.replaceDocument(alice, id, version(0, 3));
      let done = false;
      const writing = (async () => {
        for (let n = 1; n <= 12; n++) await index.replaceDocument(alice, id, version(n, 3 + (n % 4)));
        done = true;
      })();
      while (!done) {
        const seen = texts(await search(bob, dense(), 50)).filter((text) => text !== 'bystander');
        expect(new Set(seen).size).toBe(1);
        expect(seen).toHaveLength(3 + (Number(seen[0]?.slice(1)) % 4));
      }
      await writing;
      expect((await index.listDocuments(alice)).get(id)).toEqual({
        contentHash: sha256('file'),
        chunkCount: 3,
      });
      await index.replaceDocument(alice, id, []);
      expect(texts(await search(bob, dense(), 50))).toEqual(['bystander']);
    });

    it('removes documents, and only those', async () => {
      const [first, second, third] = [
        await put(alice, ['one']),
        await put(bob, ['two', 'three']),
        await put(alice, ['four']),
      ];
      await index.removeDocuments(eve, [first]);
      await index.removeDocuments(alice, [first, second]);
      expect([...(await index.listDocuments(alice)).keys()]).toEqual([third]);
      expect(texts(await search(alice, words('one two three four')))).toEqual(['four']);
    });

    it('finds vectors again by the hash of their text, of the user’s own chunks', async () => {
      await put(alice, ['same', 'other']);
      const found = await index.findVectors(alice, [sha256('other'), sha256('unknown')]);
      expect([...found.keys()]).toEqual([sha256('other')]);
      expect([...(found.get(sha256('other')) ?? [])]).toEqual([...axisVector(1)]);
      for (const other of [bob, eve])
        expect((await index.findVectors(other, [sha256('other')])).size).toBe(0);
      await expect(index.findVectors(alice, ["' OR '1'='1"])).rejects.toThrow();
    });

    describe('filters', () => {
      let first: DocumentId;
      beforeEach(async () => {
        first = await put(alice, ['p1', 'p1 too'], { page: 1, title: "it's" });
        await put(alice, ['p2'], { page: 2, visibility: 'tenant' });
        await put(bob, ['hidden'], { page: 1 });
        await put(alice, ['no page']);
      });
      const cases: [name: string, filter: () => VaultFilter, expected: string[]][] = [
        ['eq text', () => ({ op: 'eq', field: 'document_id', value: first }), ['p1', 'p1 too']],
        ['eq text with a quote', () => ({ op: 'eq', field: 'title', value: "it's" }), ['p1', 'p1 too']],
        ['eq number', () => ({ op: 'eq', field: 'page', value: 2 }), ['p2']],
        ['in', () => ({ op: 'in', field: 'visibility', values: ['tenant'] }), ['p2']],
        ['in of nothing', () => ({ op: 'in', field: 'visibility', values: [] }), []],
        ['gt', () => ({ op: 'gt', field: 'page', value: 1 }), ['p2']],
        ['gte', () => ({ op: 'gte', field: 'page', value: 1 }), ['p1', 'p1 too', 'p2']],
        ['lt', () => ({ op: 'lt', field: 'ordinal', value: 1 }), ['no page', 'p1', 'p2']],
        ['lte', () => ({ op: 'lte', field: 'page', value: 1 }), ['p1', 'p1 too']],
        [
          'not, which a null fits',
          () => ({ op: 'not', filter: { op: 'eq', field: 'page', value: 1 } }),
          ['no page', 'p2'],
        ],
        [
          'and',
          () => ({
            op: 'and',
            filters: [
              { op: 'eq', field: 'page', value: 1 },
              { op: 'gt', field: 'ordinal', value: 0 },
            ],
          }),
          ['p1 too'],
        ],
        ['and of nothing', () => ({ op: 'and', filters: [] }), ['no page', 'p1', 'p1 too', 'p2']],
        ['or of nothing', () => ({ op: 'or', filters: [] }), []],
        [
          'or that would reach another user',
          () => ({
            op: 'or',
            filters: [
              { op: 'eq', field: 'user_id', value: 'bob' },
              { op: 'eq', field: 'page', value: 2 },
            ],
          }),
          ['p2'],
        ],
      ];
      it.each(cases)('%s', async (_name, filter, expected) => {
        expect(texts(await search(alice, dense(), 50, filter())).sort()).toEqual(expected);
        expect(await index.count(alice, filter())).toBe(expected.length);
      });

      const hostile = [
        "' OR '1'='1",
        "' OR TRUE --",
        "x') OR (TRUE",
        "'; DELETE FROM chunks; --",
        "\\' OR 1=1 --",
        '\\',
        "''",
        '" OR ""="',
        '%',
        '_',
        '*',
        'a\0b',
        '\u2019 OR \u20191\u2019=\u20191',
        'x'.repeat(1_000),
      ];
      it.each(hostile)('the value %j matches only itself', async (value) => {
        for (const field of [
          'user_id',
          'document_id',
          'title',
          'visibility',
          'chunk_id',
          'content_hash',
        ] as const) {
          for (const filter of [
            { op: 'eq', field, value },
            { op: 'in', field, values: [value] },
          ] as const) {
            expect(await search(alice, dense(), 50, filter)).toEqual([]);
            expect(await index.count(alice, filter)).toBe(0);
            expect(
              await search(alice, { mode: 'hybrid', text: value, vector: axisVector(0) }, 50, filter),
            ).toEqual([]);
          }
        }
      });

      const unsupported: [name: string, filter: unknown][] = [
        ['an unknown operator', { op: 'like', field: 'title', value: '%' }],
        ['an unknown operator within', { op: 'and', filters: [{ op: 'regex', field: 'title', value: '.' }] }],
        ['an unknown field', { op: 'eq', field: 'tenant_id', value: 'globex' }],
        ['SQL as a field', { op: 'eq', field: 'TRUE OR title', value: 'x' }],
        ['a field of the prototype', { op: 'eq', field: 'constructor', value: 'x' }],
        ['SQL as a number', { op: 'gt', field: 'page', value: '0 OR TRUE' }],
        ['a number for text', { op: 'eq', field: 'title', value: 1 }],
        ['an object for text', { op: 'in', field: 'title', values: [{ toString: () => 'x' }] }],
        ['NaN', { op: 'eq', field: 'page', value: Number.NaN }],
        ['text compared by size', { op: 'gt', field: 'title', value: 'a' }],
        ['a lone surrogate', { op: 'eq', field: 'title', value: '\ud800' }],
      ];
      it.each(unsupported)('%s throws', async (_name, filter) => {
        // What JSON could hold, whatever the types say.
        const given = filter as VaultFilter;
        await expect(search(alice, dense(), 5, given)).rejects.toMatchObject({ code: 'internal_error' });
        await expect(index.count(alice, given)).rejects.toMatchObject({ code: 'internal_error' });
      });
    });

    it.each([
      '',
      '   ',
      "' OR '1'='1",
      'foo AND (bar',
      '"unclosed',
      '+-!(){}[]^~*?:\\',
      '😀',
      'a'.repeat(500),
      '\0',
    ])('takes the question %j as words', async (text) => {
      await put(alice, ['plain words']);
      expect(await search(bob, words(text))).toEqual([]);
      expect(await search(alice, { mode: 'hybrid', text, vector: axisVector(0) })).toHaveLength(1);
    });

    it('keeps everything over compaction and reopening', async () => {
      const ids: DocumentId[] = [];
      for (let i = 0; i < 30; i++) ids.push(await put(alice, [`number ${i}`, `word${i}`]));
      const gone = ids.slice(0, 10);
      await index.removeDocuments(alice, gone);
      await index.optimize(alice);
      const check = async () => {
        expect(await index.count(alice)).toBe(40);
        expect([...(await index.listDocuments(alice)).keys()].sort()).toEqual(ids.slice(10).sort());
        expect(texts(await search(alice, words('word25')))).toEqual(['word25']);
        expect(await search(alice, words('word5'))).toEqual([]);
        expect(await search(alice, dense(), 100)).toHaveLength(40);
      };
      await check();
      await index.close();
      index = await reopen();
      await check();
    });

    it('clears one tenant and not another', async () => {
      await put(alice, ['a']);
      await put(eve, ['e']);
      await index.clear(alice);
      expect(await index.count(alice)).toBe(0);
      expect(await index.count(eve)).toBe(1);
      await put(alice, ['anew']);
      expect(texts(await search(alice, words('anew')))).toEqual(['anew']);
    });

    it('takes many writers and readers at once', async () => {
      const ids = Array.from({ length: 20 }, () => newDocumentId());
      await Promise.all([
        ...ids.map((id) => index.replaceDocument(alice, id, [indexedChunk(alice, id, 0, { text: 'both' })])),
        ...ids.map((id) => index.replaceDocument(alice, id, [indexedChunk(alice, id, 0, { text: 'both' })])),
        ...ids.map(() => search(alice, dense())),
        ...ids.map(() => index.optimize(alice)),
      ]);
      expect(await index.count(alice)).toBe(20);
    });

    it('stops waiting when the signal fires', async () => {
      await put(alice, ['x']);
      const gone = AbortSignal.abort(new Error('left'));
      await expect(index.search(alice, { query: dense(), limit: 1 }, gone)).rejects.toThrow('left');
    });
  });
}
