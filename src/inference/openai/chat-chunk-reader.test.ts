import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
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
