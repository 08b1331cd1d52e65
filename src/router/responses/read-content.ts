import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import type { ChatMessage } from '#app/schemas/chat-message.ts';

type Content = NonNullable<ChatMessage['content']>;
type Part = Exclude<Content, string>[number];
type Speaker = 'user' | 'assistant' | 'system' | 'developer' | 'tool';

const textSchema = z.looseObject({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() });
const refusalSchema = z.looseObject({ type: z.literal('refusal'), refusal: z.string() });
const imageSchema = z.looseObject({
  type: z.literal('input_image'),
  image_url: z.string('must be a data: URL; files are not kept here'),
  detail: z.string().nullish(),
});
const audioSchema = z.looseObject({
  type: z.literal('input_audio'),
  input_audio: z.looseObject({ data: z.string(), format: z.string() }),
});

/** The parts that each speaker may send: engines read what is not text from users alone. */
const MAY_SEND: Readonly<Record<Speaker, ReadonlySet<string>>> = {
  user: new Set(['input_text', 'text', 'input_image', 'input_audio']),
  assistant: new Set(['output_text', 'input_text', 'text', 'refusal']),
  system: new Set(['input_text', 'text']),
  developer: new Set(['input_text', 'text']),
  tool: new Set(['input_text', 'output_text', 'text']),
};

/**
 * Content parts of the Responses API as chat's. One text becomes a string, and so do all of an assistant's: that is what
 * every engine's template reads.
 */
export function readContent(content: unknown, speaker: Speaker, param: string): Content {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw invalid(param, 'must be a string or an array of parts');
  if (content.length === 0) throw invalid(param, 'must not be empty');
  const parts = content.map((part: unknown, place) => readPart(part, speaker, `${param}.${place}`));
  const texts = parts.flatMap((part) =>
    part.type === 'text' && typeof part.text === 'string' ? [part.text] : [],
  );
  const isText = texts.length === parts.length && (parts.length === 1 || speaker === 'assistant');
  return isText ? texts.join('') : parts;
}

function readPart(part: unknown, speaker: Speaker, param: string): Part {
  const { type } = parseRequest(z.looseObject({ type: z.string() }), part, param);
  if (!MAY_SEND[speaker].has(type)) {
    throw invalid(`${param}.type`, `this kind of content is not supported from ${nameOf(speaker)}`);
  }
  switch (type) {
    case 'refusal':
      return { type, refusal: parseRequest(refusalSchema, part, param).refusal };
    case 'input_image': {
      const { image_url: url, detail } = parseRequest(imageSchema, part, param);
      return { type: 'image_url', image_url: { url, ...(typeof detail === 'string' ? { detail } : {}) } };
    }
    case 'input_audio':
      return { type, input_audio: parseRequest(audioSchema, part, param).input_audio };
    default:
      return { type: 'text', text: parseRequest(textSchema, part, param).text };
  }
}

const nameOf = (speaker: Speaker): string => (speaker === 'tool' ? 'a function' : `the ${speaker}`);

const invalid = (param: string, message: string) =>
  new BulkheadError('invalid_request', `${param}: ${message}`, { param });
