import { z } from 'zod';
import { requiredOr } from '#app/errors/plain-message.ts';

/** Of an input, with all that it refers to. */
export const MAX_ITEMS = 10_000;

/** An item is read by its type in `readInput`, which names the field at fault. */
const itemSchema = z.looseObject({ type: z.string().nullish() });

/** What the Responses API keeps on the server, and is not kept here, so it is refused, not ignored. */
const refused = (why: string) => z.null(why).optional();

/** `POST /v1/responses`. What is not named here is ignored. */
export const responseRequestSchema = z.looseObject({
  model: z
    .string()
    .min(1)
    .max(200)
    .describe('`bulkhead-rag`, `bulkhead-chat`, or a model of the engine: `GET /v1/models` lists them.'),
  input: z
    .union([z.string().min(1), z.array(itemSchema).min(1).max(MAX_ITEMS)], {
      error: requiredOr('must be a string or an array of items'),
    })
    .describe(
      'What is asked: a text, or items, oldest first. `item_reference` stands for an item of a response that is kept.',
    ),
  instructions: z.string().nullish().describe('A system message before the conversation.'),
  stream: z.boolean().nullish().describe('Answer as server-sent events.'),
  temperature: z.number().min(0).max(2).nullish().describe('0: always the likeliest token.'),
  top_p: z
    .number()
    .min(0)
    .max(1)
    .nullish()
    .describe('Only the likeliest tokens, with so much probability together.'),
  max_output_tokens: z.int().positive().max(10_000_000).nullish().describe('The most tokens of the answer.'),
  tools: z
    .array(itemSchema)
    .max(500)
    .nullish()
    .describe('The functions that the model may call; for models of the engine.'),
  tool_choice: z
    .union([z.enum(['none', 'auto', 'required']), itemSchema], {
      error: 'must be none, auto, required, or the choice of a function',
    })
    .nullish()
    .describe('Whether it may or must call one, or which.'),
  parallel_tool_calls: z.boolean().nullish().describe('Whether it may call several at once.'),
  text: z
    .looseObject({
      format: z
        .discriminatedUnion('type', [
          z.looseObject({ type: z.literal('text') }),
          z.looseObject({ type: z.literal('json_object') }),
          z.looseObject({
            type: z.literal('json_schema'),
            name: z.string().min(1).max(64),
            schema: z.record(z.string(), z.unknown()),
            description: z.string().nullish(),
            strict: z.boolean().nullish(),
          }),
        ])
        .nullish(),
    })
    .nullish()
    .describe('The form of the answer: text, JSON, or JSON of a schema.'),
  reasoning: z
    .looseObject({ effort: z.string().max(20).nullish() })
    .nullish()
    .describe('How much the model may think; for engines that know it.'),
  include: z
    .array(z.string().max(200))
    .max(100)
    .nullish()
    .describe(
      '`message.output_text.logprobs`: tell the probabilities of the tokens; for models of the engine.',
    ),
  top_logprobs: z.int().min(0).max(100).nullish().describe('How many tokens to tell at each place.'),
  metadata: z
    .record(z.string().max(64), z.string().max(512))
    .nullish()
    .describe('Names and texts of your own; the answer has them again.'),
  store: z
    .boolean()
    .nullish()
    .describe('`false`: the response is not kept. The answer says whether it is: the tenant may keep none.'),
  previous_response_id: z
    .string()
    .max(200)
    .nullish()
    .describe(
      'Go on from this response of your own: its input and output, and those before it, come first. Its instructions do not.',
    ),
  conversation: refused('conversations are on /v1/chat: send the whole conversation as `input`').describe(
    'Only null.',
  ),
  prompt: refused('prompts are not kept here').describe('Only null.'),
  background: z.literal(false, 'responses are not run in the background').nullish().describe('Only false.'),
});
export type ResponseRequest = z.infer<typeof responseRequestSchema>;
