import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import { readChatChunks } from '#inference/openai/read-chat-chunks.ts';
import { readSseEvents } from '#inference/sse/read-sse-events.ts';

const recorded = (name: string) => readFileSync(new URL(`../fixtures/llama-cpp/${name}`, import.meta.url));

async function read(...pieces: Uint8Array[]): Promise<ChatCompletionChunk[]> {
  async function* bytes() {
    yield* pieces;
  }
  const chunks: ChatCompletionChunk[] = [];
  for await (const chunk of readChatChunks(readSseEvents(bytes()), 'served', () => 0)) chunks.push(chunk);
  return chunks;
}

it.each([
  ['chat.sse', 1],
  ['unicode.sse', 3],
  ['length.sse', 1],
  ['two-choices.sse', 7],
])('%s reads the same cut in two at any byte', async (name, step) => {
  const bytes = recorded(name);
  const whole = await read(bytes);
  expect(whole.length).toBeGreaterThan(3);
  for (let at = 1; at < bytes.length; at += step) {
    expect(await read(bytes.subarray(0, at), bytes.subarray(at))).toEqual(whole);
  }
});

it('reads the same byte by byte', async () => {
  const bytes = recorded('unicode.sse');
  const one = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  expect(await read(...one)).toEqual(await read(bytes));
});

it('a stream that is cut anywhere never looks whole', async () => {
  const bytes = recorded('length.sse');
  const usageAt = bytes.indexOf('"usage"');
  for (let at = 0; at < bytes.indexOf('"finish_reason":"length"'); at += 11) {
    await expect(read(bytes.subarray(0, at))).rejects.toMatchObject({ name: 'AttemptFailure' });
  }
  expect((await read(bytes.subarray(0, usageAt))).at(-1)?.usage).toMatchObject({ estimated: true });
});
