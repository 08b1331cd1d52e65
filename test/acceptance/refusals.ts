import { expect } from 'vitest';
import { type Answer, at, call, listAt } from '../support/http-client.ts';
import type { SeededPlatform } from '../support/seeded-platform.ts';
import { listDocuments } from '../support/vault-documents.ts';

/** Expects a 4xx with a code, words and the request's id, in either envelope. Gives the parameter that it names, or ''. */
export function expectRefusal(answer: Answer, what: string): string {
  const said = `${what}: ${answer.status} ${answer.text.slice(0, 500)}`;
  expect(answer.status, said).toBeGreaterThanOrEqual(400);
  expect(answer.status, said).toBeLessThan(500);
  const json = answer.json;
  const isProblem = at(json, 'error') === undefined;
  const prefix = isProblem ? '' : 'error.';
  expect(at(json, `${prefix}code`), said).toMatch(/^[a-z_]+$/);
  expect(at(json, isProblem ? 'detail' : 'error.message'), said).toMatch(/\S/);
  const id = answer.headers['x-request-id'];
  expect(id, said).toMatch(/^req_/);
  if (isProblem) expect(at(json, 'instance'), said).toBe(`urn:bulkhead:request:${id}`);
  else expect(at(json, 'error.request_id'), said).toBe(id);
  const param = at(json, `${prefix}param`);
  return typeof param === 'string' ? param : '';
}

/** All that bad requests could have written: documents, conversations, tenants and keys. */
export async function snapshot({ platform, keys }: SeededPlatform) {
  const { url } = platform;
  const list = async (path: string, key: string) =>
    listAt((await call(url, `GET ${path}?limit=100`, { key })).json, 'data');
  return {
    documents: await listDocuments(url, keys.alice),
    conversations: await list('/v1/conversations', keys.alice),
    tenants: await list('/admin/tenants', keys.operator),
    // When a key was last used is written a while after its use.
    keys: (await list('/admin/tenants/acme/keys', keys.operator)).map((key) => ({
      ...Object(key),
      last_used_at: null,
    })),
  };
}
