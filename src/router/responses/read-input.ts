import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import type { ChatMessage } from '#app/schemas/chat-message.ts';
import { readContent } from '#router/responses/read-content.ts';
import type { ResponseRequest } from '#router/responses/response-request-schema.ts';

/** Messages for a turn, and for each of them the field of the request that it was made of. */
export type ReadInput = Readonly<{ messages: ChatMessage[]; sources: MessageSource[] }>;
export type MessageSource = Readonly<{
  /** `instructions`, `input` or `input.3`. */
  param: string;
  /** The items of the message's tool calls, in their order. */
  calls: string[];
}>;

const messageSchema = z.looseObject({
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.unknown(),
});
const callSchema = z.looseObject({
  call_id: z.string().min(1),
  name: z.string().min(1),
  arguments: z.string(),
});
const outputSchema = z.looseObject({ call_id: z.string().min(1), output: z.unknown() });

/**
 * Input items as the messages of a chat. A function call joins the assistant's message before it, as chat has them;
 * reasoning is left out, since engines write it anew. Throws `invalid_request` naming the item.
 */
export function readInput({ instructions, input }: ResponseRequest): ReadInput {
  const messages: ChatMessage[] = [];
  const sources: MessageSource[] = [];
  const add = (message: ChatMessage, param: string, calls: string[] = []) => {
    messages.push(message);
    sources.push({ param, calls });
  };
  if (instructions !== undefined && instructions !== null && instructions !== '') {
    add({ role: 'system', content: instructions }, 'instructions');
  }
  if (typeof input === 'string') add({ role: 'user', content: input }, 'input');
  else {
    for (const [place, item] of input.entries()) readItem(item, `input.${place}`, { messages, sources, add });
  }
  if (!messages.some(({ role }) => role !== 'system')) {
    throw new BulkheadError('invalid_request', 'input: must hold a message', { param: 'input' });
  }
  return { messages, sources };
}

type Writer = ReadInput & { add: (message: ChatMessage, param: string, calls?: string[]) => void };

function readItem(item: Readonly<Record<string, unknown>>, param: string, writer: Writer): void {
  const type = item.type ?? 'message';
  switch (type) {
    case 'message': {
      const { role, content } = parseRequest(messageSchema, item, param);
      writer.add({ role, content: readContent(content, role, `${param}.content`) }, param);
      return;
    }
    case 'function_call':
      addCall(parseRequest(callSchema, item, param), param, writer);
      return;
    case 'function_call_output': {
      const { call_id, output } = parseRequest(outputSchema, item, param);
      const content = readContent(output, 'tool', `${param}.output`);
      writer.add({ role: 'tool', tool_call_id: call_id, content }, param);
      return;
    }
    case 'reasoning':
      return;
    case 'item_reference':
      throw invalid(
        param,
        'items are not kept: send the item itself (AI SDK: providerOptions.openai.store = false)',
      );
    default:
      throw invalid(`${param}.type`, 'this kind of item is not supported');
  }
}

function addCall(call: z.infer<typeof callSchema>, param: string, { messages, sources, add }: Writer): void {
  const toolCall = {
    id: call.call_id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  };
  const last = messages.at(-1);
  const source = sources.at(-1);
  if (last?.role !== 'assistant' || source === undefined) {
    add({ role: 'assistant', content: null, tool_calls: [toolCall] }, param, [param]);
    return;
  }
  const known = Array.isArray(last.tool_calls) ? last.tool_calls : [];
  last.tool_calls = [...known, toolCall];
  source.calls.push(param);
}

const invalid = (param: string, message: string) =>
  new BulkheadError('invalid_request', `${param}: ${message}`, { param });
