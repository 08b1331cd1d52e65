import { z } from 'zod';

const MAX_ITEMS = 10_000;

/** An item is read by its type in `readInput`, which names the field at fault. */
const itemSchema = z.looseObject({ type: z.string().optional() });

/** What the Responses API keeps on the server, or runs there. Nothing is kept here, so it is refused, not ignored. */
const refused = (why: string) => z.null(why).optional();

/** `POST /v1/responses`. What is not named here is ignored. */
export const responseRequestSchema = z.looseObject({
  model: z.string().min(1).max(200),
  input: z.union([z.string().min(1), z.array(itemSchema).min(1).max(MAX_ITEMS)], {
    error: 'must be a text or a list of items',
  }),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_output_tokens: z.int().positive().max(10_000_000).nullish(),
  tools: z.array(itemSchema).max(500).nullish(),
  tool_choice: z
    .union([z.enum(['none', 'auto', 'required']), itemSchema], {
      error: 'must be none, auto, required, or the choice of a function',
    })
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
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
    .nullish(),
  reasoning: z.looseObject({ effort: z.string().max(20).nullish() }).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  /** Accepted and without effect: no response is kept. The answer says `store: false`. */
  store: z.boolean().nullish(),
  previous_response_id: refused('responses are not kept: send the whole conversation as `input`'),
  conversation: refused('conversations are on /v1/chat: send the whole conversation as `input`'),
  prompt: refused('prompts are not kept here'),
  background: z.literal(false, 'responses are not run in the background').nullish(),
});
export type ResponseRequest = z.infer<typeof responseRequestSchema>;
