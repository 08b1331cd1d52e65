import { describe, expect, it } from 'vitest';
import {
  conversationIdSchema,
  documentIdSchema,
  newConversationId,
  newDocumentId,
  sortableId,
  tenantIdSchema,
  userIdSchema,
} from '#app/ids.ts';

const HOSTILE = [
  '',
  '.',
  '..',
  '../globex',
  'a/b',
  'a\\b',
  'a\0b',
  '%2e%2e',
  "' OR '1'='1",
  'a\nb',
  ' a',
  'a ',
  'é',
];

describe('identifiers', () => {
  it.each([...HOSTILE, 'Acme', '-acme', 'acme-', 'a'.repeat(64)])('a tenant is not called %j', (value) => {
    expect(tenantIdSchema.safeParse(value).success).toBe(false);
  });

  it.each(['acme', 'a', '0', 'acme-corp-2', 'a'.repeat(63)])('a tenant may be called %j', (value) => {
    expect(tenantIdSchema.parse(value)).toBe(value);
  });

  it.each([...HOSTILE, '.alice', 'a'.repeat(129)])('a user is not called %j', (value) => {
    expect(userIdSchema.safeParse(value).success).toBe(false);
  });

  it.each(['alice', 'auth0|5f7c', 'alice@example.com', 'a..b', 'urn:x:1'])(
    'a user may be called %j',
    (value) => {
      expect(userIdSchema.parse(value)).toBe(value);
    },
  );

  it('ids of one kind are not ids of another', () => {
    expect(documentIdSchema.safeParse(newConversationId()).success).toBe(false);
    expect(conversationIdSchema.safeParse(newDocumentId()).success).toBe(false);
    expect(documentIdSchema.parse(newDocumentId())).toMatch(/^doc_/);
  });

  it('a trailing newline does not pass', () => {
    expect(documentIdSchema.safeParse(`${newDocumentId()}\n`).success).toBe(false);
    expect(tenantIdSchema.safeParse('acme\n').success).toBe(false);
  });

  it('sorts by age and does not repeat', () => {
    expect(sortableId(1_000) < sortableId(1_001)).toBe(true);
    expect(sortableId(Date.UTC(2026, 0)) < sortableId(Date.UTC(2300, 0))).toBe(true);
    expect(new Set(Array.from({ length: 10_000 }, () => sortableId(0))).size).toBe(10_000);
  });
});
