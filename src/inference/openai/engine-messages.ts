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

/** Kinds of content that carry their data with them. Others make the engine fetch an address or load a tensor. */
const PASSED_PARTS: ReadonlySet<string> = new Set(['text', 'refusal', 'image_url', 'input_audio']);

/**
 * A client's messages with what an engine may be given, and `developer` by the name that every server knows. A field
 * that is null is left out, as clients mean it; only `content` stays, because templates expect it beside tool calls.
 */
export function messagesForEngine(messages: readonly ChatMessage[]): Record<string, unknown>[] {
  return messages.map((message, index) => {
    const { content } = message;
    if (Array.isArray(content)) {
      content.forEach((part, place) => {
        refuseForeignData(part, `messages.${index}.content.${place}`);
      });
    }
    const fields = Object.entries(message).filter(
      ([name, value]) => PASSED_FIELDS.has(name) && (value !== null || name === 'content'),
    );
    return { ...Object.fromEntries(fields), role: message.role === 'developer' ? 'system' : message.role };
  });
}

/** An image by its address would have the engine fetch it, from inside the cluster: only data URLs pass. */
function refuseForeignData(
  part: { readonly type: string; readonly [name: string]: unknown },
  param: string,
): void {
  const { type } = part;
  if (!PASSED_PARTS.has(type)) {
    throw new BulkheadError('invalid_request', `${param}.type: this kind of content is not supported`, {
      param: `${param}.type`,
    });
  }
  if (type !== 'image_url') return;
  const image = part.image_url;
  const url = typeof image === 'object' && image !== null && 'url' in image ? image.url : image;
  if (typeof url !== 'string' || !/^data:image\/[a-z0-9.+-]+;base64,/i.test(url)) {
    throw new BulkheadError(
      'invalid_request',
      `${param}.image_url: must be a data: URL with the image in base64`,
      {
        param: `${param}.image_url`,
      },
    );
  }
}
