/**
 * How well the shipped embedding model finds, and the extractive engine answers and refuses, on real documentation:
 * `node bench/answering.ts` prints JSON. Questions and what counts as an answer are in data/questions.json.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { newDocumentId, newRequestId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { type Citation, citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { NOT_IN_DOCUMENTS } from '#app/schemas/turn.ts';
import { createTenantContext } from '#app/tenant-context.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { createExtractiveEngine, EXTRACTIVE_MODEL } from '#inference/extractive/extractive-engine.ts';
import { questionTerms, stemsOf } from '#inference/extractive/question-terms.ts';
import { dot } from '#inference/extractive/rank-units.ts';
import { chunkDocument } from '#rag/ingest/chunk/chunk-document.ts';
import { parseMarkdown } from '#rag/ingest/parse/parse-markdown.ts';
import { searchTextOf } from '#rag/ingest/search-text.ts';

const PASSAGES_GIVEN = 6;

const corpusSchema = z.enum(['fastify', 'undici']);
type Corpus = z.infer<typeof corpusSchema>;
const splitSchema = z.enum(['tune', 'holdout']);
const dataSchema = z.object({
  corpora: z.record(corpusSchema, z.string()),
  answerable: z.array(
    z.object({
      id: z.string(),
      split: splitSchema,
      corpus: corpusSchema,
      question: z.string(),
      evidence: z.array(z.string()).min(1),
      either: z.boolean(),
    }),
  ),
  unanswerable: z.array(
    z.object({ split: splitSchema, corpus: corpusSchema.nullable(), question: z.string(), kind: z.string() }),
  ),
});

type Passage = { citation: Citation; vector: Float32Array; stems: Map<string, number>; length: number };

const root = join(import.meta.dirname, '..');
const data = dataSchema.parse(
  JSON.parse(await readFile(join(import.meta.dirname, 'data/questions.json'), 'utf8')),
);
const embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY });
const engine = createExtractiveEngine({ embedder });
const context = createTenantContext({
  tenantId: tenantIdSchema.parse('bench'),
  userId: userIdSchema.parse('bench'),
  role: 'member',
  scopes: ['chat'],
  keyId: null,
  requestId: newRequestId(),
});

const squash = (text: string): string => text.replace(/\s+/g, ' ');
const median = (values: readonly number[]): number =>
  Math.round(100 * ([...values].sort((a, b) => a - b)[values.length >> 1] ?? 0)) / 100;
const round = (value: number): number => Math.round(1_000 * value) / 1_000;

async function loadPassages(directory: string): Promise<{ passages: Passage[]; msPerPassage: number }> {
  const files = (await readdir(directory, { recursive: true })).filter((name) => name.endsWith('.md')).sort();
  const drafts: { citation: Citation; search: string }[] = [];
  for (const file of files) {
    const document = parseMarkdown(await readFile(join(directory, file), 'utf8'));
    const title = document.title ?? relative('.', file);
    const document_id = newDocumentId();
    for (const { ordinal, token_count: _, ...draft } of chunkDocument(document, embedder.countTokens)) {
      const citation = citationSchema.parse({
        ...draft,
        index: 1,
        score: 0,
        title,
        document_id,
        chunk_id: `${document_id}-${ordinal}`,
      });
      drafts.push({ citation, search: searchTextOf(title, draft.heading_path, draft.text) });
    }
  }
  const started = performance.now();
  const vectors = await embedder.embedPassages(drafts.map(({ search }) => search));
  const msPerPassage = (performance.now() - started) / drafts.length;
  const passages = drafts.map(({ citation, search }, i) => {
    const stems = new Map<string, number>();
    const all = stemsOf(search);
    for (const stem of all) stems.set(stem, (stems.get(stem) ?? 0) + 1);
    return {
      citation,
      vector: vectors[i] ?? new Float32Array(embedder.dimensions),
      stems,
      length: all.length,
    };
  });
  return { passages, msPerPassage };
}

const byDense = (passages: readonly Passage[], query: Float32Array): Passage[] =>
  [...passages].sort((a, b) => dot(b.vector, query) - dot(a.vector, query));

/** Okapi BM25 with the usual k1 = 1.2 and b = 0.75. */
function byWords(passages: readonly Passage[], question: string): Passage[] {
  const average = passages.reduce((sum, { length }) => sum + length, 0) / passages.length;
  const terms = [...questionTerms(question)].map((term) => {
    const holders = passages.filter(({ stems }) => stems.has(term)).length;
    return { term, idf: Math.log(1 + (passages.length - holders + 0.5) / (holders + 0.5)) };
  });
  const score = ({ stems, length }: Passage): number =>
    terms.reduce((sum, { term, idf }) => {
      const count = stems.get(term) ?? 0;
      return sum + (idf * count * 2.2) / (count + 1.2 * (0.25 + (0.75 * length) / average));
    }, 0);
  return passages
    .map((passage) => ({ passage, score: score(passage) }))
    .filter((each) => each.score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ passage }) => passage);
}

/** Dense and words by reciprocal rank fusion, as the RAG service retrieves. */
function retrieve(passages: readonly Passage[], question: string, query: Float32Array): Citation[] {
  const fused = new Map<Passage, number>();
  for (const leg of [byDense(passages, query), byWords(passages, question)]) {
    for (const [rank, passage] of leg.slice(0, 40).entries()) {
      fused.set(passage, (fused.get(passage) ?? 0) + 1 / (60 + rank));
    }
  }
  return [...fused]
    .sort((a, b) => b[1] - a[1])
    .slice(0, PASSAGES_GIVEN)
    .map(([{ citation }, score], i) => ({ ...citation, index: i + 1, score }));
}

async function answer(question: string, sources: readonly Citation[]): Promise<string> {
  const messages = [{ role: 'user' as const, content: question }];
  const request = { model: EXTRACTIVE_MODEL, messages, sampling: {}, engineParameters: {}, sources };
  let text = '';
  for await (const chunks of engine.generate(context, request, new AbortController().signal)) {
    for (const { choices } of chunks) text += choices[0]?.delta.content ?? '';
  }
  return text;
}

/** The evidence as it stands, or nearly all of its words: an answer leaves out block marks and joins lines. */
function holds(text: string, evidence: string): boolean {
  const wordsOf = (value: string): Set<string> => new Set(value.toLowerCase().match(/[\w`]+/g) ?? []);
  const [held, wanted] = [wordsOf(text), wordsOf(evidence)];
  const found = [...wanted].filter((word) => held.has(word)).length;
  return squash(text).includes(squash(evidence)) || found / wanted.size >= 0.85;
}

const corpora = new Map<Corpus, Passage[]>();
const passageMs: number[] = [];
for (const corpus of corpusSchema.options) {
  const { passages, msPerPassage } = await loadPassages(join(root, data.corpora[corpus]));
  corpora.set(corpus, passages);
  passageMs.push(msPerPassage);
}

const ranks: number[] = [];
const queryMs: number[] = [];
const generateMs: number[] = [];
const tally = new Map<string, { of: number; count: number }>();
const count = (what: string, happened: boolean): void => {
  const entry = tally.get(what) ?? { of: 0, count: 0 };
  tally.set(what, { of: entry.of + 1, count: entry.count + (happened ? 1 : 0) });
};
const timed = async <Result>(into: number[], work: () => Promise<Result>): Promise<Result> => {
  const started = performance.now();
  const result = await work();
  into.push(performance.now() - started);
  return result;
};

for (const { question, corpus, evidence, split, either } of data.answerable) {
  const own = corpora.get(corpus) ?? [];
  const query = await timed(queryMs, () => embedder.embedQuery(question));
  const rank = byDense(own, query).findIndex(({ citation }) =>
    evidence.some((each) => squash(citation.text).includes(squash(each))),
  );
  ranks.push(rank === -1 ? Number.POSITIVE_INFINITY : rank + 1);
  const text = await timed(generateMs, () => answer(question, retrieve(own, question, query)));
  count(`answered, own documents, ${split}`, text !== NOT_IN_DOCUMENTS);
  count(
    `answer holds the evidence, ${split}`,
    evidence.some((each) => holds(text, each)),
  );
  if (either) continue;
  const others = corpora.get(corpus === 'fastify' ? 'undici' : 'fastify') ?? [];
  const wrong = await answer(question, retrieve(others, question, query));
  count(`refused, the other package’s documents, ${split}`, wrong === NOT_IN_DOCUMENTS);
}
for (const { question, corpus, split, kind } of data.unanswerable) {
  const query = await embedder.embedQuery(question);
  for (const each of corpus === null ? corpusSchema.options : [corpus]) {
    const text = await answer(question, retrieve(corpora.get(each) ?? [], question, query));
    count(`refused, ${kind} questions, ${split}`, text === NOT_IN_DOCUMENTS);
  }
}
await embedder.close();

const share = (most: number): number => round(ranks.filter((rank) => rank <= most).length / ranks.length);
const result = {
  model: embedder.id,
  passages: [...corpora.values()].reduce((sum, { length }) => sum + length, 0),
  dense_retrieval: {
    recall_at_1: share(1),
    recall_at_5: share(5),
    recall_at_10: share(10),
    mrr: round(ranks.reduce((sum, rank) => sum + 1 / rank, 0) / ranks.length),
  },
  ms: { query: median(queryMs), passage: median(passageMs), generate: median(generateMs) },
  answers: Object.fromEntries([...tally].map(([what, { of, count }]) => [what, `${count}/${of}`])),
};
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
