import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ChatCompletionChunk, chatCompletionChunkSchema } from '#app/schemas/chat-completion-chunk.ts';
import { ChatChunkReader } from '#inference/openai/chat-chunk-reader.ts';
import { AttemptFailure } from '#inference/retry.ts';

const recorded = (name: string) => readFileSync(new URL(`../fixtures/llama-cpp/${name}`, import.meta.url));

function read(...pieces: Uint8Array[]): ChatCompletionChunk[] {
  const reader = new ChatChunkReader('served', () => 0);
  const chunks: ChatCompletionChunk[] = [];
  for (const piece of [...pieces, null]) if (!reader.isEnded) chunks.push(...reader.feed(piece));
  return chunks;
}

it.each([
  ['chat.sse', 1],
  ['unicode.sse', 3],
  ['length.sse', 1],
  ['two-choices.sse', 7],
])('%s reads the same cut in two at any byte', (name, step) => {
  const bytes = recorded(name);
  const whole = read(bytes);
  expect(whole.length).toBeGreaterThan(3);
  for (let at = 1; at < bytes.length; at += step) {
    expect(read(bytes.subarray(0, at), bytes.subarray(at))).toEqual(whole);
  }
});

it('reads the same byte by byte', () => {
  const bytes = recorded('unicode.sse');
  const one = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  expect(read(...one)).toEqual(read(bytes));
});

it('a stream that is cut anywhere never looks whole', () => {
  const bytes = recorded('length.sse');
  const usageAt = bytes.indexOf('"usage"');
  for (let at = 0; at < bytes.indexOf('"finish_reason":"length"'); at += 11) {
    expect(() => read(bytes.subarray(0, at))).toThrow(AttemptFailure);
  }
  expect(read(bytes.subarray(0, usageAt)).at(-1)?.usage).toMatchObject({ estimated: true });
});

it('gives out what came before a failure, then the failure', () => {
  const reader = new ChatChunkReader('served', () => 0);
  const whole = recorded('chat.sse').toString();
  const firstEvent = whole.slice(0, whole.indexOf('\n\n') + 2);
  const chunks = reader.feed(Buffer.from(`${firstEvent}data: {"error":{"message":"out of memory"}}\n\n`));
  expect(chunks).toHaveLength(1);
  expect(() => reader.feed(null)).toThrow(AttemptFailure);
});

it('takes nothing in after the end', () => {
  const bytes = recorded('chat.sse');
  const whole = read(bytes);
  expect(read(Buffer.concat([bytes, bytes]))).toEqual(whole);
});

it('gives out nothing that is not a chunk, whatever a server sends', () => {
  const odd = fc.oneof(
    fc.constant(null),
    fc.string(),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant([]),
  );
  const call = fc.oneof(odd, fc.record({ index: odd, id: odd, function: odd }, { requiredKeys: [] }));
  const delta = fc.record(
    { role: odd, content: odd, refusal: odd, tool_calls: fc.oneof(odd, fc.array(call)), other: odd },
    { requiredKeys: [] },
  );
  const choice = fc.record(
    { index: odd, delta: fc.oneof(odd, delta), finish_reason: odd },
    { requiredKeys: [] },
  );
  const event = fc.record({ id: odd, created: odd, model: odd, choices: fc.array(fc.oneof(odd, choice)) });
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 3 }), (events) => {
      const reader = new ChatChunkReader('served', () => 0);
      const lines = events.map((data) => `data: ${JSON.stringify(data)}\n\n`).join('');
      try {
        for (const chunk of reader.feed(Buffer.from(lines))) {
          expect(chatCompletionChunkSchema.safeParse(chunk).error).toBeUndefined();
        }
      } catch (error) {
        expect(error).toBeInstanceOf(AttemptFailure);
      }
    }),
    { numRuns: 500 },
  );
});

it('passes the running totals of a server that reports them, over all choices', () => {
  const event = (index: number, content: string, completion_tokens: number) =>
    `data: ${JSON.stringify({
      id: 'a',
      created: 1,
      model: 'm',
      choices: [{ index, delta: { content }, finish_reason: completion_tokens === 2 ? 'stop' : null }],
      usage: { prompt_tokens: 7, completion_tokens, total_tokens: 7 + completion_tokens },
    })}\n\n`;
  const stream = [event(0, 'a', 1), event(1, 'b', 1), event(1, 'c', 2), event(0, 'd', 2)].join('');
  const totals = (chunks: ChatCompletionChunk[]) => chunks.map(({ usage }) => usage?.completion_tokens);
  expect(totals(read(Buffer.from(`${stream}data: [DONE]\n\n`)))).toEqual([1, 2, 3, 4, 4]);
  const end = 'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}\n\n';
  const chunks = read(Buffer.from(`${stream}${end}data: [DONE]\n\n`));
  expect(totals(chunks)).toEqual([1, 2, 3, 4, 5]);
  expect(chunks.at(-1)?.usage?.prompt_tokens).toBe(7);
});
