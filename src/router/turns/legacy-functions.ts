import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type ChatMessage, chatMessageSchema } from '#app/schemas/chat-message.ts';
import type { ChatCompletionRequest } from '#router/turns/chat-completion-schema.ts';

/** A request's functions in the words that engines know, and how to find its own words again. */
export type ModernRequest = Readonly<{
  messages: readonly ChatMessage[];
  /** In place of `functions` and `function_call`; empty where there are none. */
  parameters: Readonly<Record<string, unknown>>;
  /** The answer calls a function, in the older form. */
  callsFunctions: boolean;
  paramOf: (param: string) => string;
}>;

type RequestMessage = ChatCompletionRequest['messages'][number];

const callSchema = z.object({ name: z.string().min(1), arguments: z.string() });
const chosenSchema = z.object({ name: z.string() });

/**
 * `functions` as tools, and `function` messages as their results: vLLM and llama.cpp leave the older fields unread, and templates
 * know no role `function`. Throws `invalid_request`. To be called for the turn alone: policies look at what the client wrote.
 */
export function modernise(body: ChatCompletionRequest): ModernRequest {
  const { functions, function_call: choice } = body;
  const renamed = new Set<number>();
  const messages = areModern(body.messages) ? body.messages : moderniseMessages(body.messages, renamed);
  const isOffered = functions != null && functions.length > 0;
  if (isOffered && body.tools != null && body.tools.length > 0) {
    throw invalid('functions', 'cannot be sent beside tools, which are their newer form');
  }
  for (const [place, { name }] of (functions ?? []).entries()) {
    if (typeof name !== 'string' || name === '') throw invalid(`functions.${place}.name`, 'must be a name');
  }
  const chosen = choice == null || typeof choice === 'string' ? null : chosenSchema.safeParse(choice);
  if (chosen !== null) {
    const name = chosen.data?.name;
    const known = (functions ?? []).some((one) => one.name === name);
    if (!known) throw invalid('function_call', 'names a function that is not in functions');
  }
  return {
    messages,
    parameters: isOffered ? toolsOf(functions, chosen?.data?.name ?? choice) : {},
    callsFunctions: isOffered,
    paramOf: (param) => olderName(param, renamed, isOffered),
  };
}

function toolsOf(functions: readonly object[], choice: unknown): Record<string, unknown> {
  const isWord = choice === 'auto' || choice === 'none';
  return {
    tools: functions.map((one) => ({ type: 'function', function: one })),
    // An answer in the older form holds one call.
    parallel_tool_calls: false,
    ...(isWord ? { tool_choice: choice } : {}),
    ...(typeof choice === 'string' && !isWord
      ? { tool_choice: { type: 'function', function: { name: choice } } }
      : {}),
  };
}

const areModern = (messages: readonly RequestMessage[]): messages is readonly ChatMessage[] =>
  messages.every(({ role, function_call: call }) => role !== 'function' && call == null);

function moderniseMessages(messages: readonly RequestMessage[], renamed: Set<number>): ChatMessage[] {
  /** The last call that has no result yet. */
  let open: { id: string; name: string } | null = null;
  return messages.map((message, index): ChatMessage => {
    const { function_call: call, ...rest } = message;
    if (message.role === 'function') {
      const { name } = message;
      if (typeof name !== 'string' || name === '') {
        throw invalid(`messages.${index}.name`, 'must be the name of the function');
      }
      const id: string = open?.name === name ? open.id : idOf(index);
      open = null;
      return chatMessageSchema.parse({ ...rest, role: 'tool', tool_call_id: id });
    }
    const hasTools = Array.isArray(message.tool_calls) && message.tool_calls.length > 0;
    if (message.role !== 'assistant' || call == null || hasTools) return chatMessageSchema.parse(rest);
    const parsed = callSchema.safeParse(call);
    if (!parsed.success) {
      throw invalid(`messages.${index}.function_call`, 'must have a name and arguments, both of them texts');
    }
    renamed.add(index);
    open = { id: idOf(index), name: parsed.data.name };
    const calls = [{ id: open.id, type: 'function', function: parsed.data }];
    return chatMessageSchema.parse({ content: null, ...rest, tool_calls: calls });
  });
}

/** Nine letters and digits: Mistral's templates take no other ids. */
const idOf = (index: number): string => `call${String(index).padStart(5, '0')}`;

function olderName(param: string, renamed: ReadonlySet<number>, isOffered: boolean): string {
  const call = /^messages\.(\d+)\.tool_calls(?:\.0(?:\.function)?)?(\..*)?$/.exec(param);
  if (call !== null && renamed.has(Number(call[1])))
    return `messages.${call[1]}.function_call${call[2] ?? ''}`;
  if (!isOffered) return param;
  if (/^tool_choice\b/.test(param)) return 'function_call';
  return param.replace(/^tools\.(\d+)(?:\.function)?/, 'functions.$1').replace(/^tools$/, 'functions');
}

const invalid = (param: string, why: string) =>
  new BulkheadError('invalid_request', `${param}: ${why}`, { param });
