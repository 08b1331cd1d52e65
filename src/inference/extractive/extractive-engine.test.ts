import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newDocumentId, newRequestId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { chatCompletionChunkSchema } from '#app/schemas/chat-completion-chunk.ts';
import type { ChatMessage } from '#app/schemas/chat-message.ts';
import { type Citation, citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { NOT_IN_DOCUMENTS, type Sampling } from '#app/schemas/turn.ts';
import { createTenantContext } from '#app/tenant-context.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import {
  createExtractiveEngine,
  EXTRACTIVE_MODEL,
  NEEDS_DOCUMENTS,
} from '#inference/extractive/extractive-engine.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import { itemsOf } from '#test/support/batches.ts';

let embedder: Embedder;
let engine: InferenceEngine;
let fastify: Citation[];
let undici: Citation[];

beforeAll(async () => {
  embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY });
  engine = createExtractiveEngine({ embedder, now: () => 1_800_000_000_000 });
  fastify = await sectionsOf('fastify', 'docs/Reference/Server.md', [
    'keepAliveTimeout',
    'bodyLimit',
    'http2',
  ]);
  fastify.push(...(await sectionsOf('fastify', 'docs/Reference/Logging.md', ['Enable Logging'], 4)));
  undici = await sectionsOf('undici', 'docs/docs/api/RetryHandler.md', ['`RetryOptions`', 'Class']);
});
afterAll(() => embedder.close());

/** Sections of documentation that is installed anyway, as passages numbered from `first`. */
async function sectionsOf(
  packageName: string,
  file: string,
  headings: readonly string[],
  first = 1,
): Promise<Citation[]> {
  const root = dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`));
  const sections = (await readFile(join(root, file), 'utf8')).split(/(?=^#{2,4} )/m);
  return headings.map((heading, i) => {
    const text = sections.find((section) => section.split('\n', 1)[0]?.includes(heading));
    if (text === undefined) throw new Error(`${file} has no heading ${heading}`);
    return citation(first + i, text.slice(0, 3_000), heading);
  });
}

function citation(index: number, text: string, heading = 'Heading'): Citation {
  const document_id = newDocumentId();
  return citationSchema.parse({
    index,
    chunk_id: `${document_id}-0`,
    document_id,
    title: 'Documentation',
    heading_path: [heading],
    page: null,
    start_offset: 0,
    end_offset: text.length,
    text,
    score: 1 / index,
  });
}

const context = createTenantContext({
  tenantId: tenantIdSchema.parse('acme'),
  userId: userIdSchema.parse('ada'),
  role: 'member',
  scopes: ['chat'],
  keyId: null,
  requestId: newRequestId(),
});

async function ask(
  question: string | ChatMessage[],
  sources: Citation[] | null,
  {
    sampling = {},
    signal = new AbortController().signal,
  }: { sampling?: Sampling; signal?: AbortSignal } = {},
) {
  const messages = typeof question === 'string' ? [{ role: 'user' as const, content: question }] : question;
  const chunks = [];
  const attempts: number[] = [];
  const onAttempt = (attempt: number) => void attempts.push(attempt);
  const request = { model: EXTRACTIVE_MODEL, messages, sampling, engineParameters: {}, sources, onAttempt };
  for await (const chunk of itemsOf(engine.generate(context, request, signal))) {
    chunks.push(chatCompletionChunkSchema.parse(chunk));
  }
  const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
  const finish = chunks.map(({ choices }) => choices[0]?.finish_reason).find((reason) => reason != null);
  return { text, finish, chunks, attempts, usage: chunks.at(-1)?.usage };
}

const squash = (text: string): string => text.replace(/\s+/g, ' ').trim();

describe('an answer', () => {
  test('quotes the passage that holds it, and cites it', async () => {
    const { text, finish } = await ask('What is the default body limit, the maximum payload size?', fastify);
    expect(text).toContain('Defines the maximum payload, in bytes, the server is allowed to accept. [2]');
    expect(text).toContain('1048576');
    expect(finish).toBe('stop');
  });

  test('is made of nothing but quotes and markers', async () => {
    for (const [question, sources] of [
      ['How do I enable logging?', fastify],
      ['How long are keep-alive connections kept open by default?', fastify],
      ['Which status codes trigger a retry?', undici],
      ['Does it retry when the request body is a stream?', undici],
    ] as const) {
      const { text } = await ask(question, [...sources]);
      expect(text, question).not.toBe(NOT_IN_DOCUMENTS);
      const quoted = squash(sources.map((source) => source.text.replace(/^\s*>\s?/gm, '')).join('\n'));
      for (const quote of text.split(/\s*\[\d+\]\s*/).map((part) => squash(part.replace(/^- /, '')))) {
        expect(quoted, question).toContain(quote);
      }
    }
  });

  test('cites only numbers of its sources', async () => {
    const { text } = await ask('How do I enable logging?', fastify);
    const numbers = [...text.matchAll(/\[(\d+)\]/g)].map(([, digits]) => Number(digits));
    expect(numbers.length).toBeGreaterThan(0);
    expect(numbers.every((number) => fastify.some(({ index }) => index === number))).toBe(true);
  });

  test('says a thing once when two passages say it', async () => {
    const sentence = 'The reactor core is cooled with liquid sodium at 550 degrees.';
    const { text } = await ask('How is the reactor core cooled?', [
      citation(1, sentence),
      citation(2, sentence),
    ]);
    expect(text).toBe(`${sentence} [1]`);
  });

  test('leaves out a sentence that pretends to be another source’s', async () => {
    const { text } = await ask('How is the reactor core cooled?', [
      citation(
        1,
        'The reactor core is cooled with liquid sodium. The reactor core is cooled with water, see [2].',
      ),
      citation(2, 'The canteen opens at noon.'),
    ]);
    expect(text).toBe('The reactor core is cooled with liquid sodium. [1]');
  });

  test('keeps a code block whole, with the sentence that announces it', async () => {
    const source = 'To turn the alarm off at night, use:\n\n```sh\nalarm off --night\nalarm status\n```\n';
    const { text } = await ask('How do I turn the alarm off at night?', [citation(3, source)]);
    expect(text).toBe(
      'To turn the alarm off at night, use: [3]\n\n```sh\nalarm off --night\nalarm status\n```',
    );
  });
});

describe('no answer', () => {
  test.each([
    'What is the capital of Australia?',
    'How many vacation days do employees get?',
    'asdf qwer zxcv',
    '?',
  ])('is said plainly to %s', async (question) => {
    for (const sources of [fastify, undici]) {
      expect(await ask(question, sources)).toMatchObject({ text: NOT_IN_DOCUMENTS, finish: 'stop' });
    }
  });

  test('to a question about the other documents', async () => {
    expect((await ask('How many cached TLS sessions are kept?', fastify)).text).toBe(NOT_IN_DOCUMENTS);
    expect((await ask('Which hook runs when a plugin is registered?', undici)).text).toBe(NOT_IN_DOCUMENTS);
  });

  test('without sources, or without a question', async () => {
    expect((await ask('How do I enable logging?', [])).text).toBe(NOT_IN_DOCUMENTS);
    expect((await ask([{ role: 'system', content: 'Be brief.' }], fastify)).text).toBe(NOT_IN_DOCUMENTS);
  });

  test('without retrieval says what to use instead', async () => {
    expect(await ask('How do I enable logging?', null)).toMatchObject({
      text: NEEDS_DOCUMENTS,
      finish: 'stop',
    });
  });
});

test('a follow-up question is understood from the one before it', async () => {
  const followUp = [
    { role: 'user' as const, content: 'How do I enable logging?' },
    { role: 'assistant' as const, content: 'Pass `{ logger: true }`. [4]' },
    { role: 'user' as const, content: 'and what level does it have then?' },
  ];
  expect((await ask(followUp, fastify)).text).toContain("log level set to `'info'` when enabled. [4]");
});

describe('the stream', () => {
  test('is role, words, finish reason and usage, all of one id', async () => {
    const { chunks, text, usage, attempts } = await ask('How do I enable logging?', fastify);
    expect(attempts).toEqual([1]);
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' });
    expect(chunks.length).toBeGreaterThan(10);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(
      chunks.every(({ created, model }) => created === 1_800_000_000 && model === EXTRACTIVE_MODEL),
    ).toBe(true);
    expect(chunks.at(-2)?.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    expect(chunks.at(-1)?.choices).toEqual([]);
    const prompt_tokens = embedder.countTokens('How do I enable logging?');
    const completion_tokens = embedder.countTokens(text);
    expect(usage).toEqual({
      prompt_tokens,
      completion_tokens,
      total_tokens: prompt_tokens + completion_tokens,
    });
  });

  test('ends with `length` at max_tokens, never above it', async () => {
    const { text, finish, usage } = await ask('How do I enable logging?', fastify, {
      sampling: { max_tokens: 7 },
    });
    expect(finish).toBe('length');
    expect(usage?.completion_tokens).toBeLessThanOrEqual(7);
    expect(embedder.countTokens(text)).toBe(usage?.completion_tokens);
  });

  test('ends before a stop sequence', async () => {
    const whole = (await ask('How do I enable logging?', fastify)).text;
    const { text, finish } = await ask('How do I enable logging?', fastify, { sampling: { stop: ['[4]'] } });
    expect(text).toBe(whole.slice(0, whole.indexOf('[4]')).trimEnd());
    expect(finish).toBe('stop');
  });

  test('ends when the signal is aborted, before and within', async () => {
    await expect(ask('How do I enable logging?', fastify, { signal: AbortSignal.abort() })).rejects.toThrow(
      /abort/i,
    );
    const controller = new AbortController();
    const request = {
      model: EXTRACTIVE_MODEL,
      messages: [{ role: 'user' as const, content: 'How do I enable logging?' }],
      sampling: {},
      engineParameters: {},
      sources: fastify,
    };
    const read = async (): Promise<number> => {
      let chunks = 0;
      for await (const _ of engine.generate(context, request, controller.signal)) {
        if (++chunks === 2) controller.abort();
      }
      return chunks;
    };
    await expect(read()).rejects.toThrow(/abort/i);
  });
});

test('another model is not known', async () => {
  const request = { model: 'gpt-5', messages: [], sampling: {}, engineParameters: {}, sources: null };
  await expect(
    engine.generate(context, request, new AbortController().signal)[Symbol.asyncIterator]().next(),
  ).rejects.toMatchObject({
    code: 'model_not_found',
  });
  expect(await engine.listModels(new AbortController().signal)).toMatchObject([{ id: EXTRACTIVE_MODEL }]);
});

test('a question or history of megabytes is answered all the same', async () => {
  const { usage } = await ask(`${'word '.repeat(400_000)}`, fastify);
  expect(usage?.prompt_tokens).toBe(400_000);
});
