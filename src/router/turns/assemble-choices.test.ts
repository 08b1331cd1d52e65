import { expect, test } from 'vitest';
import { chatCompletionChunkSchema } from '#app/schemas/chat-completion-chunk.ts';
import type { TurnEvent } from '#app/schemas/turn.ts';
import { ChoiceAssembler } from '#router/turns/assemble-choices.ts';
import { completionAnswer, completionFrames } from '#router/turns/completion-answer.ts';
import { oneByOne } from '#test/support/batches.ts';

const chunkOf = (choices: unknown[], usage?: unknown) =>
  chatCompletionChunkSchema.parse({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices,
    ...(usage === undefined ? {} : { usage }),
  });

/** As vLLM streams two parallel calls: the name once, the arguments in pieces. */
const TOOL_CALLS = [
  chunkOf([{ index: 0, delta: { role: 'assistant', content: '' } }]),
  chunkOf([
    {
      index: 0,
      delta: {
        tool_calls: [{ index: 0, id: 'call_a', type: 'function', function: { name: 'look', arguments: '' } }],
      },
    },
  ]),
  chunkOf([{ index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: '{"q":' } }] } }]),
  chunkOf([{ index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: '"x"}' } }] } }]),
  chunkOf([
    {
      index: 0,
      delta: {
        tool_calls: [
          { index: 1, id: 'call_b', type: 'function', function: { name: 'sum', arguments: '{}' } },
        ],
      },
    },
  ]),
  chunkOf([{ index: 0, delta: {}, finish_reason: 'tool_calls' }]),
];

async function* turnOf(chunks: readonly ReturnType<typeof chunkOf>[]): AsyncGenerator<TurnEvent> {
  yield { type: 'started', conversation_id: null, route: 'direct', model: 'm', engine: 'vllm' };
  for (const chunk of chunks) yield { type: 'chunk', chunk };
  yield {
    type: 'finished',
    finish_reason: 'tool_calls',
    token_usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    citations: [],
    chunk_ids: [],
    refusal_reason: null,
    timings: { retrieve_ms: 0, generate_ms: 1, first_token_ms: 1 },
  };
}
const turn = (chunks: readonly ReturnType<typeof chunkOf>[], includeUsage = false) => ({
  events: oneByOne(turnOf(chunks)),
  requestId: 'req_1',
  model: 'm',
  created: 1,
  includeUsage,
});

test('tool calls come together by their index', async () => {
  const answer = await completionAnswer(turn(TOOL_CALLS));
  expect(answer.choices).toEqual([
    {
      index: 0,
      message: {
        role: 'assistant',
        content: null,
        refusal: null,
        tool_calls: [
          { id: 'call_a', type: 'function', function: { name: 'look', arguments: '{"q":"x"}' } },
          { id: 'call_b', type: 'function', function: { name: 'sum', arguments: '{}' } },
        ],
      },
      logprobs: null,
      finish_reason: 'tool_calls',
    },
  ]);
});

test('choices, reasoning and log probabilities each come together', () => {
  const assembler = new ChoiceAssembler();
  const logprobs = (token: string) => ({ content: [{ token, logprob: -1 }] });
  for (const chunk of [
    chunkOf([{ index: 1, delta: { content: 'b' }, logprobs: logprobs('b') }]),
    chunkOf([{ index: 0, delta: { reasoning_content: 'I ' } }]),
    chunkOf([{ index: 0, delta: { reasoning_content: 'think', content: 'a' }, logprobs: logprobs('a') }]),
    chunkOf([{ index: 0, delta: { content: 'A' }, logprobs: logprobs('A'), finish_reason: 'stop' }]),
    chunkOf([{ index: 1, delta: {}, finish_reason: 'length' }]),
  ]) {
    assembler.take(chunk);
  }
  expect(assembler.choices()).toEqual([
    {
      index: 0,
      message: { role: 'assistant', content: 'aA', refusal: null, reasoning_content: 'I think' },
      logprobs: { content: [...logprobs('a').content, ...logprobs('A').content] },
      finish_reason: 'stop',
    },
    {
      index: 1,
      message: { role: 'assistant', content: 'b', refusal: null },
      logprobs: logprobs('b'),
      finish_reason: 'length',
    },
  ]);
});

test('a stream passes tool calls with their index, tells usage once, and finishes every choice', async () => {
  const chunks = [
    ...TOOL_CALLS.slice(0, -1),
    // Some engines put usage on every chunk, and some never finish.
    chunkOf([], { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }),
  ];
  const frames = completionFrames(turn(chunks, true));
  let text = '';
  let next = await frames.next();
  for (; !next.done; next = await frames.next()) text += next.value;
  text += next.value;
  const events = text.trim().split('\n\n');
  expect(events.at(-1)).toBe('data: [DONE]');
  const parsed = events.slice(0, -1).map((event) => JSON.parse(event.slice('data: '.length)));
  expect(parsed.filter(({ usage }) => usage !== null)).toHaveLength(1);
  expect(
    parsed.flatMap(({ choices }) => choices).filter((choice) => choice.finish_reason === 'tool_calls'),
  ).toHaveLength(1);
  const calls = parsed.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
  expect(calls.every(({ index }: { index?: number }) => Number.isInteger(index))).toBe(true);
});
