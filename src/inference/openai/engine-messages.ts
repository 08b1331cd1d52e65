import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ChatMessage } from '#app/schemas/chat-message.ts';

/** Fields of a message that an engine is given. */
const PASSED_FIELDS: ReadonlySet<string> = new Set([
  'role',
  'content',
  'name',
  'tool_calls',
  'tool_call_id',
  'function_call',
  'refusal',
  'reasoning',
  'reasoning_content',
]);

/**
 * Kinds of content that carry their data with them, and the one field that holds it, with its own fields where it is an object.
 * Other kinds make the engine fetch an address or load a tensor. So may other fields: vLLM reads a part that has a `uuid` by
 * whichever of `image_url`, `image_embeds`, `audio_url` … it finds in it, whatever its type says, and keeps what it read under
 * that id, for every tenant to name.
 */
const PASSED_PARTS: ReadonlyMap<string, Readonly<{ field: string; inner: ReadonlySet<string> }>> = new Map([
  ['text', { field: 'text', inner: new Set() }],
  ['refusal', { field: 'refusal', inner: new Set() }],
  ['image_url', { field: 'image_url', inner: new Set(['url', 'detail']) }],
  ['input_audio', { field: 'input_audio', inner: new Set(['data', 'format']) }],
]);

type Part = Readonly<{ type: string; [name: string]: unknown }>;

/**
 * A client's messages with what an engine may be given, and `developer` by the name that every server knows. A field
 * that is null is left out, as clients mean it; only `content` stays, because templates expect it beside tool calls.
 */
export function messagesForEngine(messages: readonly ChatMessage[]): Record<string, unknown>[] {
  return messages.map((message, index) => {
    const { content } = message;
    const fields = Object.entries(message).filter(
      ([name, value]) => PASSED_FIELDS.has(name) && (value !== null || name === 'content'),
    );
    return {
      ...Object.fromEntries(fields),
      role: message.role === 'developer' ? 'system' : message.role,
      ...(Array.isArray(content)
        ? { content: content.map((part, place) => partForEngine(part, `messages.${index}.content.${place}`)) }
        : {}),
    };
  });
}

/** A part of a content with its own field and no other. */
function partForEngine(part: Part, param: string): Record<string, unknown> {
  const { type } = part;
  const passed = PASSED_PARTS.get(type);
  if (passed === undefined) {
    throw new BulkheadError('invalid_request', `${param}.type: this kind of content is not supported`, {
      param: `${param}.type`,
    });
  }
  if (type === 'image_url') refuseForeignImage(part.image_url, `${param}.image_url`);
  const { field, inner } = passed;
  const value = part[field];
  return { type, [field]: isObject(value) ? only(inner, value) : value };
}

/** An image by its address would have the engine fetch it, from inside the cluster: only data URLs pass. */
function refuseForeignImage(image: unknown, param: string): void {
  const url = isObject(image) ? image.url : image;
  if (typeof url === 'string' && /^data:image\/[a-z0-9.+-]+;base64,/i.test(url)) return;
  throw new BulkheadError('invalid_request', `${param}: must be a data: URL with the image in base64`, {
    param,
  });
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const only = (names: ReadonlySet<string>, value: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(value).filter(([name, inner]) => names.has(name) && inner !== null));
