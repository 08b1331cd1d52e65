/**
 * `retrieveForTenant()` of one tenant, as one of its two users, with the product's own retriever over LanceDB and
 * PGlite: hybrid search, post-check and near-duplicate removal. The query is embedded by the shipped model, and that is
 * timed apart. The first passages are real documentation; what is missing to the size is synthesised around them.
 * `npm run bench -- retrieve [--smoke]`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Database } from '#app/database/database.ts';
import { userIdSchema } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { createLanceVaultIndex } from '#rag/index/lance-vault-index.ts';
import { createTenantRetriever } from '#rag/tenant-retriever.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';
import { describeMachine, printClaim, round, summarise } from './support/claims.ts';
import { readCorpus, readQuestions } from './support/corpora.ts';
import { embedPassages, type Passage, seededRandom, synthesiseDocuments } from './support/synthetic-vault.ts';

const TOP_K = 6;
const WARM_UP = 20;
const never = new AbortController().signal;

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { smoke: { type: 'boolean', default: false } } });
  const [sizes, queries, realPassages] = values.smoke ? [[500], 30, 100] : [[2_000, 100_000], 400, 2_000];
  const embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY });
  try {
    console.error('embedding real passages');
    const files = [...(await readCorpus('fastify')), ...(await readCorpus('undici'))];
    const passages = await embedPassages(embedder, files, realPassages);
    const questions = await readQuestions(['fastify', 'undici']);
    for (const size of sizes)
      await measure({ embedder, passages, questions, size, queries, smoke: values.smoke });
  } finally {
    await embedder.close();
  }
}

async function measure(options: {
  embedder: Embedder;
  passages: readonly Passage[];
  questions: readonly string[];
  size: number;
  queries: number;
  smoke: boolean;
}): Promise<void> {
  const { embedder, passages, questions, size, queries, smoke } = options;
  const machine = describeMachine();
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-bench-'));
  const open = await createTestDatabase();
  const index = await createLanceVaultIndex({
    directory,
    dimensions: embedder.dimensions,
    embedderId: embedder.id,
    onBackgroundError: (error) => console.error(error),
  });
  try {
    await insertTestTenant(open.database, 'bench');
    const alice = testContext('bench', 'alice');
    console.error(`indexing ${size} chunks`);
    const began = performance.now();
    const users = [userIdSchema.parse('alice'), userIdSchema.parse('bob')] as const;
    const random = seededRandom(1);
    for (const { documentId, userId, visibility, chunks } of synthesiseDocuments({
      ...{ passages, count: size, context: alice, users, random },
    })) {
      const owner = testContext('bench', userId);
      await insertRow(open.database, owner, documentId, visibility);
      const [first] = chunks;
      if (first !== undefined) await index.replaceDocument(owner, first.chunk.document_id, chunks);
    }
    await index.optimize(alice);
    const indexSeconds = (performance.now() - began) / 1_000;

    const retriever = createTenantRetriever({
      index,
      embedder,
      database: open.database,
      // Nothing here may be foreign: a benchmark of a leak is worth nothing.
      alarm: {
        count: 0,
        raise: () => {
          throw new Error('A foreign row was found.');
        },
      },
    });
    const search: number[] = [];
    const embed: number[] = [];
    for (let i = -WARM_UP; i < queries; i++) {
      const query = questions[(i + WARM_UP) % questions.length] ?? '';
      const { chunks, timings } = await retriever.retrieveForTenant(
        alice,
        { query, top_k: TOP_K, diversity: 0.3 },
        never,
      );
      if (chunks.length !== TOP_K) throw new Error(`${chunks.length} passages instead of ${TOP_K}.`);
      if (i < 0) continue;
      search.push(timings.search_ms);
      embed.push(timings.embed_ms);
    }
    printClaim({
      claim: 'retrieval, hybrid, user filter, no rerank, after embedding the query',
      chunks: size,
      chunks_visible_to_the_user: await index.count(alice),
      real_chunks: Math.min(size, passages.length),
      synthesised_chunks: Math.max(0, size - passages.length),
      queries,
      top_k: TOP_K,
      ...summarise(search),
      queries_per_second_one_at_a_time: round(
        (1_000 * search.length) / search.reduce((sum, ms) => sum + ms, 0),
      ),
      embedding_the_query: summarise(embed),
      index_seconds: round(indexSeconds),
      smoke,
      machine,
    });
  } finally {
    await index.close();
    await open.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The retriever asks the database which documents still exist. */
function insertRow(database: Database, owner: TenantContext, documentId: string, visibility: string) {
  return database.asUser(owner, ({ query }) =>
    query(
      `INSERT INTO bulkhead.documents (tenant_id, document_id, user_id, visibility, title, filename, media_type,
         byte_size, content_hash, status)
       VALUES ($1, $2, $3, $4, 'bench', 'bench.md', 'text/markdown', 1, 'none', 'ready')`,
      [owner.tenantId, documentId, owner.userId, visibility],
    ),
  );
}

if (import.meta.main) await run(process.argv.slice(2));
