import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';

const part = z.union([
  z.looseObject({ type: z.literal('text'), text: z.string() }),
  z.looseObject({ type: z.literal('image_url'), image_url: z.object({ url: z.url() }) }),
]);
const schema = z.strictObject({
  model: z.string().min(1).max(5),
  messages: z
    .array(
      z.object({ role: z.enum(['user', 'tool']), content: z.union([z.string(), z.array(part), z.null()]) }),
    )
    .min(1)
    .optional(),
  stream: z.boolean().optional(),
  n: z.int().min(1).max(8).optional(),
  temperature: z.number().max(2).optional(),
  stop: z.union([z.string(), z.array(z.string())]).optional(),
  choice: z.union([z.enum(['auto', 'none']), z.object({ name: z.string() })]).optional(),
  email: z.email().optional(),
  kind: z.literal('chat').optional(),
  labels: z.record(z.string().max(3), z.string()).optional(),
  format: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('schema'), name: z.string() }),
    ])
    .optional(),
  own: z.custom<'x'>((value) => value === 'x').optional(),
  even: z
    .number()
    .refine((value) => value % 2 === 0, 'must be even')
    .optional(),
});

function problemOf(value: unknown): { message: string; param: string | undefined } {
  try {
    parseRequest(schema, value);
  } catch (error) {
    if (error instanceof BulkheadError) return { message: error.message, param: error.param };
    throw error;
  }
  throw new Error('It is valid.');
}

describe('what is wrong with a request is said plainly, with the field', () => {
  test.each<[unknown, string, string?]>([
    [[], 'The body must be an object, not an array.'],
    ['{}', 'The body must be an object, not a string.'],
    [{}, 'model: is required', 'model'],
    [{ model: null }, 'model: must be a string, not null', 'model'],
    [{ model: '' }, 'model: must not be empty', 'model'],
    [{ model: 'longer' }, 'model: must have at most 5 characters', 'model'],
    [{ model: 'm', stream: 'true' }, 'stream: must be true or false, not a string', 'stream'],
    [{ model: 'm', n: 1.5 }, 'n: must be a whole number', 'n'],
    [{ model: 'm', n: '1' }, 'n: must be a number, not a string', 'n'],
    [{ model: 'm', n: 9 }, 'n: must be at most 8', 'n'],
    [{ model: 'm', temperature: 3 }, 'temperature: must be at most 2', 'temperature'],
    [{ model: 'm', messages: 'hi' }, 'messages: must be an array, not a string', 'messages'],
    [{ model: 'm', messages: [] }, 'messages: must not be empty', 'messages'],
    [{ model: 'm', messages: ['hi'] }, 'messages.0: must be an object, not a string', 'messages.0'],
    [
      { model: 'm', messages: [{ role: 'owner', content: '' }] },
      'messages.0.role: must be one of "user", "tool"',
      'messages.0.role',
    ],
    [
      { model: 'm', messages: [{ role: 'user', content: 5 }] },
      'messages.0.content: must be a string or an array or null, not a number',
      'messages.0.content',
    ],
    [
      { model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 7 }] }] },
      'messages.0.content.0.text: must be a string, not a number',
      'messages.0.content.0.text',
    ],
    [
      { model: 'm', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
      'messages.0.content.0.image_url.url: must be a URL such as https://example.com',
      'messages.0.content.0.image_url.url',
    ],
    [{ model: 'm', stop: 5 }, 'stop: must be a string or an array, not a number', 'stop'],
    [{ model: 'm', choice: 'some' }, 'choice: must be "auto" or "none" or an object', 'choice'],
    [{ model: 'm', email: 'x' }, 'email: must be an e-mail address', 'email'],
    [{ model: 'm', kind: 'talk' }, 'kind: must be "chat"', 'kind'],
    [{ model: 'm', labels: { a: 1 } }, 'labels.a: must be a string, not a number', 'labels.a'],
    [
      { model: 'm', labels: { long: '' } },
      'labels.long: has a name that must have at most 3 characters',
      'labels.long',
    ],
    [{ model: 'm', format: { type: 'x' } }, 'format.type: must be one of "text", "schema"', 'format.type'],
    [{ model: 'm', format: {} }, 'format.type: must be one of "text", "schema"', 'format.type'],
    [{ model: 'm', format: { type: 'schema' } }, 'format.name: is required', 'format.name'],
    [{ model: 'm', own: 'y' }, 'own: is not valid', 'own'],
    [{ model: 'm', even: 3 }, 'even: must be even', 'even'],
    [{ model: 'm', stray: 1 }, 'stray: is not a known field', 'stray'],
  ])('%j', (value, message, param) => {
    expect(problemOf(value)).toEqual({ message, param });
  });
});
