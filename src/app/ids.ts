import { randomFillSync } from 'node:crypto';
import { z } from 'zod';

/**
 * Identifiers are validated once, where they enter, and are safe as path segments, SQL values and cache
 * keys from then on. None of them can be empty, start with a dot or hold a path separator.
 */
export const tenantIdSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1-63 lower-case letters, digits or inner hyphens')
  .describe('The id of a tenant.')
  .brand<'TenantId'>();

/** A user within a tenant: the JWT subject or the user of an API key. Never `.` or `..`, never a separator. */
export const userIdSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._@|+:-]{0,127}$/,
    'must be 1-128 letters, digits or . _ @ | + : - and start with a letter or digit',
  )
  .describe('The id of a user within the tenant.')
  .brand<'UserId'>();

const prefixedId = <Brand extends string>(prefix: string, brand: Brand, of: string) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9a-z]{26}$`), `must be a ${brand} such as ${prefix}_ and 26 characters`)
    .describe(`The id of ${of}.`)
    .brand<Brand>();

export const documentIdSchema = prefixedId('doc', 'DocumentId', 'a document');
export const conversationIdSchema = prefixedId('conv', 'ConversationId', 'a conversation');
export const messageIdSchema = prefixedId('msg', 'MessageId', 'a message');
export const requestIdSchema = prefixedId(
  'req',
  'RequestId',
  'a request, as its answer names it in `x-request-id`',
);
export const responseIdSchema = prefixedId('resp', 'ResponseId', 'a response');
/** `<document id>-<ordinal>`: the same text of the same document keeps its id when it is indexed again. */
export const chunkIdSchema = z
  .string()
  .regex(/^doc_[0-9a-z]{26}-[0-9]{1,6}$/, 'must be a chunk id such as doc_…-0')
  .brand<'ChunkId'>();

export type TenantId = z.infer<typeof tenantIdSchema>;
export type UserId = z.infer<typeof userIdSchema>;
export type DocumentId = z.infer<typeof documentIdSchema>;
export type ConversationId = z.infer<typeof conversationIdSchema>;
export type MessageId = z.infer<typeof messageIdSchema>;
export type RequestId = z.infer<typeof requestIdSchema>;
export type ResponseId = z.infer<typeof responseIdSchema>;
export type ChunkId = z.infer<typeof chunkIdSchema>;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

const RANDOM_BYTES = 16;
const pool = new Uint8Array(256 * RANDOM_BYTES);
let used = pool.length;

/** Each byte is given out once; the system is asked for many at a time, because asking is what costs. */
function nextRandom(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += RANDOM_BYTES;
  return pool.subarray(used - RANDOM_BYTES, used);
}

/** 26 Crockford base-32 characters: 10 of milliseconds since 1970 (they sort by age), 16 of randomness (80 bits). */
export function sortableId(now: number = Date.now(), random: Uint8Array = nextRandom()): string {
  let time = '';
  for (let rest = now, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = ALPHABET[rest % 32] + time;
  let tail = '';
  for (let i = 0; i < 16; i++) tail += ALPHABET[(random[i] ?? 0) % 32];
  return time + tail;
}

/** The id that sorts before every `<prefix>_` id of this millisecond and after those of the one before. */
export function firstIdAt(prefix: string, time: number): string {
  let digits = '';
  for (let rest = Math.max(0, Math.floor(time)), i = 0; i < 10; i++, rest = Math.floor(rest / 32)) {
    digits = ALPHABET[rest % 32] + digits;
  }
  return `${prefix}_${digits}`;
}

/** Milliseconds since 1970 at which {@link sortableId} made the id. */
export const timeOfId = (id: string): number =>
  [...id.slice(id.indexOf('_') + 1).slice(0, 10)].reduce(
    (time, character) => time * 32 + ALPHABET.indexOf(character),
    0,
  );

export const newDocumentId = (): DocumentId => `doc_${sortableId()}` as DocumentId;
export const newConversationId = (): ConversationId => `conv_${sortableId()}` as ConversationId;
export const newMessageId = (): MessageId => `msg_${sortableId()}` as MessageId;
/** A request makes one response at most, so they share what makes them unique. */
export const responseIdOf = (requestId: RequestId): ResponseId =>
  requestId.replace(/^req_/, 'resp_') as ResponseId;
export const newRequestId = (): RequestId => `req_${sortableId()}` as RequestId;
