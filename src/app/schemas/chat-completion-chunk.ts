import { z } from 'zod';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';

/** One event of an OpenAI chat stream. Every engine speaks it; fields that we do not read pass through. */
export const chatCompletionChunkSchema = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int().nonnegative(),
      delta: z.looseObject({
        role: z.string().nullish(),
        content: z.string().nullish(),
        refusal: z.string().nullish(),
        tool_calls: z.array(z.looseObject({ index: z.int().nonnegative() })).nullish(),
      }),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: tokenUsageSchema.nullish(),
});
export type ChatCompletionChunk = z.infer<typeof chatCompletionChunkSchema>;

type Delta = ChatCompletionChunk['choices'][number]['delta'];

/** Whether a piece of an answer came of at least one token: servers send empty ones for a role or an end. */
export const carriesTokens = ({
  content,
  refusal,
  tool_calls,
  reasoning,
  reasoning_content,
}: Delta): boolean =>
  isText(content) ||
  isText(refusal) ||
  isText(reasoning) ||
  isText(reasoning_content) ||
  (tool_calls ?? []).length > 0;

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
