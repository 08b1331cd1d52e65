import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import type { ChatMessage } from '#app/schemas/chat-message.ts';
import { readContent } from '#router/responses/read-content.ts';

/** The field of the request that something was made of. */
export type Place = Readonly<{
  /** `instructions`, `input`, `input.3` or `previous_response_id`. */
  param: string;
  /** Whether it is in the field; otherwise the field refers to it. */
  isSent: boolean;
}>;
export type PlacedInput = Readonly<{ item: Readonly<Record<string, unknown>>; place: Place }>;

/** Messages for a turn, and for each of them where it is from. */
export type ReadInput = Readonly<{ messages: ChatMessage[]; sources: MessageSource[] }>;
export type MessageSource = Readonly<{
  place: Place;
  /** Of the message's tool calls, in their order. */
  calls: Place[];
  /** What the item calls its message's content. */
  content: 'content' | 'output';
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
export function readInput({
  instructions,
  items,
}: Readonly<{ instructions?: string | null | undefined; items: readonly PlacedInput[] }>): ReadInput {
  const messages: ChatMessage[] = [];
  const sources: MessageSource[] = [];
  const add = (message: ChatMessage, place: Place, calls: Place[] = []) => {
    messages.push(message);
    sources.push({ place, calls, content: message.role === 'tool' ? 'output' : 'content' });
  };
  if (instructions !== undefined && instructions !== null && instructions !== '') {
    add({ role: 'system', content: instructions }, { param: 'instructions', isSent: true });
  }
  for (const { item, place } of items) readItem(item, place, { messages, sources, add });
  if (!messages.some(({ role }) => role !== 'system')) {
    throw new BulkheadError('invalid_request', 'input: must hold a message', { param: 'input' });
  }
  return { messages, sources };
}

type Writer = ReadInput & { add: (message: ChatMessage, place: Place, calls?: Place[]) => void };

function readItem(item: Readonly<Record<string, unknown>>, place: Place, writer: Writer): void {
  const { param } = place;
  const type = item.type ?? 'message';
  switch (type) {
    case 'message': {
      const { role, content } = parseRequest(messageSchema, item, param);
      writer.add({ role, content: readContent(content, role, `${param}.content`) }, place);
      return;
    }
    case 'function_call':
      addCall(parseRequest(callSchema, item, param), place, writer);
      return;
    case 'function_call_output': {
      const { call_id, output } = parseRequest(outputSchema, item, param);
      const content = readContent(output, 'tool', `${param}.output`);
      writer.add({ role: 'tool', tool_call_id: call_id, content }, place);
      return;
    }
    case 'reasoning':
      return;
    default:
      throw invalid(`${param}.type`, 'this kind of item is not supported');
  }
}

function addCall(call: z.infer<typeof callSchema>, place: Place, { messages, sources, add }: Writer): void {
  const toolCall = {
    id: call.call_id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  };
  const last = messages.at(-1);
  const source = sources.at(-1);
  if (last?.role !== 'assistant' || source === undefined) {
    add({ role: 'assistant', content: null, tool_calls: [toolCall] }, place, [place]);
    return;
  }
  const known = Array.isArray(last.tool_calls) ? last.tool_calls : [];
  last.tool_calls = [...known, toolCall];
  source.calls.push(place);
}

const invalid = (param: string, message: string) =>
  new BulkheadError('invalid_request', `${param}: ${message}`, { param });
