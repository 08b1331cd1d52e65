import { afterEach, describe, expect, it } from 'vitest';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { GenerateRequest } from '#inference/inference-engine.ts';
import { VLLMClient, type VLLMClientOptions } from '#inference/vllm-client.ts';
import { itemsOf } from '#test/support/batches.ts';
import {
  type EngineCall,
  sendError,
  sendStream,
  startEngineServer,
  streamOf,
} from '#test/support/engine-server.ts';
import { testContext } from '#test/support/test-context.ts';

const acme = testContext('acme');
const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

type Answer = Parameters<typeof startEngineServer>[0];

async function setUp(answer: Answer, options: Partial<VLLMClientOptions> = {}) {
  const server = await startEngineServer(answer);
  const client = new VLLMClient({
    baseUrl: server.baseUrl,
    defaultModel: 'served',
    cacheSaltSecret: null,
    ...options,
  });
  opened.push(client, server);
  const ask = async (fields: Partial<GenerateRequest> = {}) => {
    const request: GenerateRequest = {
      model: 'served',
      messages: [{ role: 'user', content: 'Hello?' }],
      sampling: {},
      engineParameters: {},
      sources: null,
      ...fields,
    };
    const chunks: ChatCompletionChunk[] = [];
    const stream = client.generate(acme, request, new AbortController().signal);
    for await (const chunk of itemsOf(stream)) chunks.push(chunk);
    return chunks;
  };
  return { server, ask };
}

const reasonsOf = (chunks: readonly ChatCompletionChunk[]) =>
  chunks.flatMap(({ choices }) => choices.flatMap(({ finish_reason: reason }) => reason ?? []));

/** An answer that never ends, written as fast as it is taken. `next` makes the choices of each event, and its usage. */
function flood(next: (nth: number) => { choices: unknown[]; usage?: unknown }): {
  answer: Answer;
  written: { bytes: number; events: number; isCut: boolean };
} {
  const written = { bytes: 0, events: 0, isCut: false };
  const answer = (_call: EngineCall, response: Parameters<Answer>[1]) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.once('close', () => {
      written.isCut = true;
    });
    const write = () => {
      while (!response.destroyed) {
        const event = { id: 'x', object: 'chat.completion.chunk', created: 1, model: 'served' };
        const text = `data: ${JSON.stringify({ ...event, ...next(written.events) })}\n\n`;
        written.events += 1;
        written.bytes += text.length;
        if (!response.write(text)) {
          response.once('drain', write);
          return;
        }
      }
    };
    write();
  };
  return { answer, written };
}
const choice = (content: string, index = 0) => ({ index, delta: { content }, finish_reason: null });
const MEBIBYTE = 1_048_576;

describe('a limit that is held for an answer', () => {
  it('is sent to the engine as max_tokens, and goes after the client’s own', async () => {
    const { server, ask } = await setUp((_call, response) => sendStream(response, streamOf(['Hi'])));
    await ask();
    await ask({ answerLimit: 50 });
    await ask({ answerLimit: 50, sampling: { max_tokens: 7 } });
    expect(server.calls.map(({ body }) => body.max_tokens)).toEqual([undefined, 50, 7]);
  });

  const TOO_LONG = {
    error: {
      message: "This model's maximum context length is 100 tokens. However, you requested 150 tokens.",
      type: 'BadRequestError',
      code: 400,
    },
  };
  it('is left out where the prompt leaves less room than it, and the client’s own is not', async () => {
    const { server, ask } = await setUp(({ body }, response) =>
      body.max_tokens === undefined
        ? sendStream(response, streamOf(['Hi']))
        : sendError(response, 400, TOO_LONG),
    );
    expect(reasonsOf(await ask({ answerLimit: 50 }))).toEqual(['stop']);
    expect(server.calls.map(({ body }) => body.max_tokens)).toEqual([50, undefined]);
    await expect(ask({ sampling: { max_tokens: 50 } })).rejects.toMatchObject({
      code: 'context_length_exceeded',
    });
    expect(server.calls).toHaveLength(3);
  });

  it('is not left out where the engine refuses the request for another reason', async () => {
    const { server, ask } = await setUp((_call, response) => sendError(response, 400));
    await expect(ask({ answerLimit: 50 })).rejects.toMatchObject({ code: 'engine_rejected' });
    expect(server.calls).toHaveLength(1);
  });

  it('ends an answer of an engine that writes on, by the usage that it reports', async () => {
    const { answer, written } = flood((nth) => ({
      choices: [choice('word ')],
      usage: { prompt_tokens: 9, completion_tokens: nth + 1, total_tokens: nth + 10 },
    }));
    const { ask } = await setUp(answer);
    const chunks = await ask({ answerLimit: 100 });
    expect(reasonsOf(chunks)).toEqual(['length']);
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 9, completion_tokens: 101 });
    await expect.poll(() => written.isCut).toBe(true);
  });

  it('ends one whose engine reports nothing, by its pieces: two may be one token', async () => {
    const { answer, written } = flood((nth) => ({ choices: [choice('w', nth % 2)] }));
    const { ask } = await setUp(answer);
    const chunks = await ask({ answerLimit: 50, engineParameters: { n: 2 } });
    expect(reasonsOf(chunks)).toEqual(['length', 'length']);
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 201, estimated: true });
    await expect.poll(() => written.isCut).toBe(true);
  });
});

describe('an answer without end', () => {
  const BYTES = 2 * MEBIBYTE;
  it.each([
    ['of text', () => ({ choices: [choice('x'.repeat(1_000))] }), BYTES],
    ['of large events', () => ({ choices: [choice('x'.repeat(MEBIBYTE))] }), BYTES],
    ['of fields that are passed on', () => ({ choices: [choice('')], more: 'x'.repeat(10_000) }), BYTES],
    // An event without content counts a sixteenth of its envelope.
    ['of nothing', () => ({ choices: [choice('')] }), (BYTES / 16) * 160],
  ])('%s ends with the reason length, and the engine is cut off', async (_what, next, atMost) => {
    const { answer, written } = flood(next);
    const { ask } = await setUp(answer, { maxAnswerCharacters: BYTES });
    const chunks = await ask();
    expect(reasonsOf(chunks)).toEqual(['length']);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { estimated: true } });
    await expect.poll(() => written.isCut).toBe(true);
    const taken = chunks.reduce((sum, chunk) => sum + JSON.stringify(chunk).length, 0);
    expect(taken).toBeLessThan(atMost + 2 * MEBIBYTE);
  });
});
