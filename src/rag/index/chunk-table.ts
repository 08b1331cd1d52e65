import {
  Field,
  FixedSizeList,
  Float32,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { multiTenantVaultChunkSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { IndexedChunk, VaultHit } from '#rag/index/vault-index.ts';

/** What filters and words are looked up in. */
const TEXT_COLUMNS = [
  'chunk_id',
  'tenant_id',
  'user_id',
  'visibility',
  'collection',
  'document_id',
  'title',
  'content_hash',
  'search_text',
  'search_text_hash',
  'chunk',
] as const;
const NUMBER_COLUMNS = ['ordinal', 'page', 'token_count'] as const;

/** What a search reads back: the chunk whole, as JSON. Reading its fifteen fields one by one takes half as long again. */
export const HIT_COLUMNS = ['chunk', 'vector'];

/** The columns of a tenant's table. A change here is a new index format: see INDEX_FORMAT. */
export function chunkTableSchema(dimensions: number): Schema {
  return new Schema([
    ...TEXT_COLUMNS.map((name) => new Field(name, new Utf8(), false)),
    ...NUMBER_COLUMNS.map((name) => new Field(name, new Int32(), name === 'page')),
    new Field('vector', vectorType(dimensions), false),
  ]);
}

const vectorType = (dimensions: number) =>
  new FixedSizeList(dimensions, new Field('item', new Float32(), true));

/** About 5 ms of encoding. */
const CHUNKS_A_BATCH = 64;

/** Chunks as Arrow columns. Large documents have 10,000, a second of work: others have their turn between batches. */
export async function encodeChunks(
  chunks: readonly IndexedChunk[],
  dimensions: number,
  turn: () => Promise<void>,
): Promise<Table> {
  const schema = chunkTableSchema(dimensions);
  const batches: RecordBatch[] = [];
  for (let from = 0; from < chunks.length; from += CHUNKS_A_BATCH) {
    if (from > 0) await turn();
    batches.push(encodeBatch(chunks.slice(from, from + CHUNKS_A_BATCH), dimensions, schema));
  }
  return new Table(schema, batches);
}

/** Vectors are copied once, as one block of floats. */
function encodeBatch(chunks: readonly IndexedChunk[], dimensions: number, schema: Schema): RecordBatch {
  const rows = chunks.map(({ chunk, searchText, searchTextHash }) => ({
    ...chunk,
    search_text: searchText,
    search_text_hash: searchTextHash,
    chunk: JSON.stringify(chunk),
  }));
  const floats = new Float32Array(chunks.length * dimensions);
  for (const [i, { vector }] of chunks.entries()) {
    if (vector.length !== dimensions) throw new Error(`A vector has ${vector.length} dimensions.`);
    floats.set(vector, i * dimensions);
  }
  const texts = TEXT_COLUMNS.map((name) =>
    dataOf(
      vectorFromArray(
        rows.map((row) => row[name]),
        new Utf8(),
      ),
    ),
  );
  const numbers = NUMBER_COLUMNS.map((name) =>
    dataOf(
      vectorFromArray(
        rows.map((row) => row[name]),
        new Int32(),
      ),
    ),
  );
  const vectors = makeData({
    type: vectorType(dimensions),
    length: chunks.length,
    nullCount: 0,
    child: makeData({ type: new Float32(), data: floats }),
  });
  const children = [...texts, ...numbers, vectors];
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length: chunks.length, nullCount: 0, children }));
}

function dataOf<Data>(column: { data: readonly Data[] }): Data {
  const [data] = column.data;
  if (data === undefined) throw new Error('An Arrow column has no data.');
  return data;
}

/** Rows of a search as hits. Every row is parsed: what the index returns is input like any other. */
export function decodeHits(table: ArrowRows, scoreOf: (row: number) => number): VaultHit[] {
  const hits: VaultHit[] = [];
  for (let row = 0; row < table.numRows; row++) {
    const chunk = multiTenantVaultChunkSchema.parse(JSON.parse(decodeText(table, 'chunk', row)));
    hits.push({ chunk, vector: decodeVector(table, row), score: scoreOf(row) });
  }
  return hits;
}

/** The part of an Arrow table that is read here; the driver brings its own copy of the library. */
export type ArrowRows = {
  readonly numRows: number;
  getChild(name: string): { get(row: number): unknown } | null;
};

export function decodeVector(table: ArrowRows, row: number): Float32Array {
  const value = table.getChild('vector')?.get(row);
  if (
    typeof value === 'object' &&
    value !== null &&
    'toArray' in value &&
    typeof value.toArray === 'function'
  ) {
    const floats: unknown = value.toArray();
    // A copy: the original is a window on the whole answer's memory.
    if (floats instanceof Float32Array) return floats.slice();
  }
  throw new Error('The index returned a row without a vector.');
}

export function decodeNumber(table: ArrowRows, name: string, row: number): number {
  const value = table.getChild(name)?.get(row);
  if (typeof value !== 'number') throw new Error(`The index returned no number as ${name}.`);
  return value;
}

export function decodeText(table: ArrowRows, name: string, row: number): string {
  const value = table.getChild(name)?.get(row);
  if (typeof value !== 'string') throw new Error(`The index returned no text as ${name}.`);
  return value;
}
