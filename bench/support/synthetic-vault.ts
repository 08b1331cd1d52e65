import { createHash } from 'node:crypto';
import { chunkIdSchema, newDocumentId, type UserId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import type { IndexedChunk } from '#rag/index/vault-index.ts';
import { chunkDocument } from '#rag/ingest/chunk/chunk-document.ts';
import { parseMarkdown } from '#rag/ingest/parse/parse-markdown.ts';
import { searchTextOf } from '#rag/ingest/search-text.ts';
import type { MarkdownFile } from './corpora.ts';

/** A real passage with its real vector. */
export type Passage = Readonly<{
  title: string;
  headings: readonly string[];
  text: string;
  vector: Float32Array;
}>;

const CHUNKS_A_DOCUMENT = 250;
/** Keeps a synthesised vector near the real one: cosine about 0.9. */
const NOISE = 0.5;

/** Parses, chunks and embeds files as ingestion does. */
export async function embedPassages(
  embedder: Embedder,
  files: readonly MarkdownFile[],
  limit: number,
): Promise<Passage[]> {
  const drafts = files
    .flatMap(({ name, text }) => {
      const document = parseMarkdown(text);
      const title = document.title ?? name;
      return chunkDocument(document, embedder.countTokens).map((chunk) => ({
        title,
        headings: chunk.heading_path,
        text: chunk.text,
      }));
    })
    .slice(0, limit);
  const texts = drafts.map(({ title, headings, text }) => searchTextOf(title, headings, text));
  const vectors = await embedder.embedPassages(texts);
  return drafts.map((draft, i) => ({
    ...draft,
    vector: vectors[i] ?? new Float32Array(embedder.dimensions),
  }));
}

/** A seeded generator (mulberry32), so that two runs measure the same vault. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Documents of so many chunks in all: the real passages first, then variations of them, whose vector is a real one
 * with noise and whose text is two halves of real texts. Half are private to each of two users; every tenth
 * document is shared.
 */
export function* synthesiseDocuments(options: {
  passages: readonly Passage[];
  count: number;
  context: TenantContext;
  users: readonly [UserId, UserId];
  random: () => number;
}): Generator<{
  documentId: string;
  userId: UserId;
  visibility: 'private' | 'tenant';
  chunks: IndexedChunk[];
}> {
  const { passages, count, context, users, random } = options;
  for (let first = 0, document = 0; first < count; first += CHUNKS_A_DOCUMENT, document++) {
    const documentId = newDocumentId();
    const userId = users[document % 2 === 0 ? 0 : 1];
    const visibility = document % 10 === 9 ? 'tenant' : 'private';
    const length = Math.min(CHUNKS_A_DOCUMENT, count - first);
    const chunks = Array.from({ length }, (_, ordinal): IndexedChunk => {
      const passage = passageAt(passages, first + ordinal, random);
      const searchText = searchTextOf(passage.title, passage.headings, passage.text);
      return {
        chunk: {
          chunk_id: chunkIdSchema.parse(`${documentId}-${ordinal}`),
          tenant_id: context.tenantId,
          user_id: userId,
          visibility,
          collection: 'default',
          document_id: documentId,
          title: passage.title,
          ordinal,
          text: passage.text,
          heading_path: [...passage.headings],
          page: null,
          start_offset: 0,
          end_offset: passage.text.length,
          token_count: 1,
          content_hash: sha256(documentId),
        },
        searchText,
        searchTextHash: sha256(searchText),
        vector: passage.vector,
      };
    });
    yield { documentId, userId, visibility, chunks };
  }
}

function passageAt(passages: readonly Passage[], position: number, random: () => number): Passage {
  const real = passages[position];
  if (real !== undefined) return real;
  const pick = () => {
    const picked = passages[Math.floor(random() * passages.length)];
    if (picked === undefined) throw new Error('There are no passages.');
    return picked;
  };
  const [base, other] = [pick(), pick()];
  const half = (text: string) => text.slice(0, Math.max(1, text.length >> 1));
  return { ...base, text: `${half(base.text)} ${half(other.text)}`, vector: nearby(base.vector, random) };
}

/** A unit vector near another one. */
function nearby(vector: Float32Array, random: () => number): Float32Array {
  const scale = NOISE / Math.sqrt(vector.length);
  const moved = vector.map((value) => value + scale * gaussian(random));
  const norm = Math.sqrt(moved.reduce((sum, value) => sum + value * value, 0));
  return moved.map((value) => value / norm);
}

/** Box-Muller. */
const gaussian = (random: () => number) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
