import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { ChatCompletion } from '#router/turns/chat-completion-schema.ts';

type Choice = ChatCompletion['choices'][number];
type StreamedChoice = ChatCompletionChunk['choices'][number];

/** A choice as who sent `functions` reads it: the first call as `function_call`. */
export function olderChoice(choice: Choice): Choice {
  const { tool_calls: calls, ...message } = choice.message;
  const call = callOf(calls?.[0]);
  return {
    ...choice,
    message: call === null ? message : { ...message, function_call: { arguments: '', ...call } },
    finish_reason: olderReason(choice.finish_reason),
  };
}

/** The same of a piece of a stream; null: it was of a further call, which the older form cannot tell. */
export function olderPiece(choice: StreamedChoice): StreamedChoice | null {
  const { tool_calls: calls, ...delta } = choice.delta;
  const { finish_reason: reason } = choice;
  const first = calls?.find(({ index }) => index === 0);
  const call = callOf(first);
  if (call === null && calls != null && reason == null && Object.keys(delta).length === 0) return null;
  return {
    ...choice,
    delta: call === null ? delta : { ...delta, function_call: call },
    ...(reason == null ? {} : { finish_reason: olderReason(reason) }),
  };
}

const olderReason = <Reason extends string | null>(reason: Reason) =>
  reason === 'tool_calls' ? 'function_call' : reason;

/** What a call, or a piece of one, says of its function. */
function callOf(call: unknown): Record<string, unknown> | null {
  const called = typeof call === 'object' && call !== null ? Reflect.get(call, 'function') : undefined;
  if (typeof called !== 'object' || called === null) return null;
  const name: unknown = Reflect.get(called, 'name');
  const text: unknown = Reflect.get(called, 'arguments');
  return {
    ...(typeof name === 'string' && name !== '' ? { name } : {}),
    ...(typeof text === 'string' ? { arguments: text } : {}),
  };
}
