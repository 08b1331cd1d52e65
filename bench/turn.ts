/**
 * A whole turn over HTTP on the extractive engine, in the one-process shape with its embedded defaults: question in,
 * cited answer out, conversation stored and usage row written. `npm run bench -- turn [--smoke]`.
 */
import { parseArgs } from 'node:util';
import { at, call } from '#test/support/http-client.ts';
import { startBulkhead } from '#test/support/start-bulkhead.ts';
import { createTenants } from '#test/support/tenants.ts';
import { addDocument } from '#test/support/vault-documents.ts';
import { describeMachine, printClaim, round, summarise } from './support/claims.ts';
import { readCorpus, readQuestions } from './support/corpora.ts';

const WARM_UP = 10;

type Asker = (question: string) => Promise<void>;

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { smoke: { type: 'boolean', default: false } } });
  const turns = values.smoke ? 20 : 400;
  const files = (await readCorpus('fastify')).slice(0, values.smoke ? 4 : undefined);
  const questions = await readQuestions(['fastify']);
  const machine = describeMachine();
  const bulkhead = await startBulkhead({ env: { LOG_LEVEL: 'warn' } });
  try {
    const { alice } = await createTenants(bulkhead);
    console.error(`indexing ${files.length} documents`);
    let chunks = 0;
    for (const { name, text } of files) {
      const document = { filename: name, content: text, mediaType: 'text/markdown' };
      const id = await addDocument(bulkhead.url, alice, document);
      const { json } = await call(bulkhead.url, `GET /v1/vault/documents/${id}`, { key: alice });
      chunks += Number(at(json, 'chunk_count'));
    }
    let answered = 0;
    const ask: Asker = async (message) => {
      const { status, json } = await call(bulkhead.url, 'POST /v1/chat', { key: alice, json: { message } });
      if (status !== 200) throw new Error(`A turn failed with ${status}.`);
      if (at(json, 'refusal_reason') === null) answered++;
    };
    await measure(ask, questions, WARM_UP, 1);
    for (const concurrency of [1, 8]) {
      console.error(`${turns} turns, ${concurrency} at once`);
      answered = 0;
      const { seconds, latencies } = await measure(ask, questions, turns, concurrency);
      printClaim({
        claim: 'turn, extractive engine, one process, over HTTP',
        concurrency,
        turns,
        answered,
        requests_per_second: round(turns / seconds),
        ...summarise(latencies),
        documents: files.length,
        chunks,
        smoke: values.smoke,
        machine,
      });
    }
  } finally {
    await bulkhead.dispose();
  }
}

/** Asks the questions in turn, so many at once; a closed loop: the next is asked when one is answered. */
async function measure(ask: Asker, questions: readonly string[], turns: number, concurrency: number) {
  const latencies: number[] = [];
  let next = 0;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next < turns) {
        const question = questions[next++ % questions.length] ?? '';
        const start = performance.now();
        await ask(question);
        latencies.push(performance.now() - start);
      }
    }),
  );
  return { seconds: (performance.now() - began) / 1_000, latencies };
}

if (import.meta.main) await run(process.argv.slice(2));
