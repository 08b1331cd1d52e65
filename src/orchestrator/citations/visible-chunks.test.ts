import { expect, it } from 'vitest';
import { newDocumentId } from '#app/ids.ts';
import { retrievedChunkSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { createTenantContext } from '#app/tenant-context.ts';
import { silentLogger } from '#observability/logger.ts';
import { assertVisible } from '#orchestrator/citations/visible-chunks.ts';
import { testContext } from '#test/support/test-context.ts';

const alice = testContext('acme', 'alice');
const document_id = newDocumentId();
const chunk = retrievedChunkSchema.parse({
  chunk_id: `${document_id}-0`,
  document_id,
  tenant_id: 'acme',
  user_id: 'alice',
  visibility: 'private',
  collection: 'hr',
  title: 'Title',
  filename: 'title.md',
  heading_path: [],
  page: null,
  ordinal: 0,
  start_offset: 0,
  end_offset: 4,
  text: 'Text',
  token_count: 1,
  content_hash: '0'.repeat(64),
  score: 1,
});
const limitedTo = (...collections: string[]) => createTenantContext({ ...alice, collections });

it.each([
  ['a user’s own', alice, {}],
  ['what another shares', alice, { user_id: 'bob', visibility: 'tenant' }],
  ['a collection of the credential', limitedTo('legal', 'hr'), {}],
] as const)('lets %s pass', (_name, context, fields) => {
  expect(() =>
    assertVisible(context, [retrievedChunkSchema.parse({ ...chunk, ...fields })], silentLogger),
  ).not.toThrow();
});

it.each([
  ['another tenant’s', alice, { tenant_id: 'globex' }],
  ['another tenant’s, shared there', alice, { tenant_id: 'globex', visibility: 'tenant' }],
  ['another user’s', alice, { user_id: 'bob' }],
  ['another collection’s', limitedTo('legal'), {}],
  ['another collection’s, shared', limitedTo('legal'), { user_id: 'bob', visibility: 'tenant' }],
] as const)('discards all for one chunk of %s', (_name, context, fields) => {
  const own = { ...chunk, collection: context.collections?.[0] ?? 'hr' };
  const chunks = [own, { ...chunk, ...fields }].map((each) => retrievedChunkSchema.parse(each));
  expect(() => assertVisible(context, chunks, silentLogger)).toThrow(
    expect.objectContaining({ code: 'internal_error' }),
  );
});
