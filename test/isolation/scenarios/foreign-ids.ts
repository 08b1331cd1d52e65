import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, at, call, listAt, textAt } from '../../support/http-client.ts';
import { minimalValue, type Route, readRoutes } from '../../support/openapi-routes.ts';
import { FACTS, type SeededPlatform } from '../../support/seeded-platform.ts';
import { listDocuments } from '../../support/vault-documents.ts';

type Ids = Readonly<Record<string, string>>;

/**
 * An id of somebody else answers byte for byte as an id of nobody: same status, same headers, same body. Every
 * route of `/openapi.json` that takes ids is tried, so a new one is tried when it is added.
 */
export function describeForeignIds(seeded: () => SeededPlatform): void {
  describe('ids of others', () => {
    let url: string;
    let routes: Route[];
    /** Objects of alice of acme. */
    let foreign: Ids;
    let missing: Ids;
    beforeAll(async () => {
      const { platform, keys, documents } = seeded();
      url = platform.url;
      routes = await readRoutes(url);
      const chat = await call(url, 'POST /v1/chat', {
        key: keys.alice,
        json: { message: FACTS.alice.question },
      });
      const key = await call(url, 'GET /admin/tenants/acme/keys', { key: keys.operator });
      const response = await call(url, 'POST /v1/responses', {
        key: keys.alice,
        json: { model: 'bulkhead-rag', input: FACTS.alice.question },
      });
      foreign = {
        response_id: textAt(response.json, 'id'),
        document_id: documents.alice,
        file_id: documents.alice,
        conversation_id: textAt(chat.json, 'conversation_id'),
        tenant_id: 'acme',
        key_id: textAt(
          listAt(key.json, 'data').find((one) => at(one, 'revoked_at') === null),
          'key_id',
        ),
      };
      missing = {
        response_id: `resp_${'0'.repeat(26)}`,
        document_id: `doc_${'0'.repeat(26)}`,
        file_id: `doc_${'0'.repeat(26)}`,
        conversation_id: `conv_${'0'.repeat(26)}`,
        tenant_id: 'nobody',
        key_id: '0'.repeat(26),
      };
    });

    const strangers = (): [who: string, key: string, reaches: readonly string[]][] => {
      const { keys } = seeded();
      return [
        ['another tenant', keys.carol, []],
        ['another tenant’s admin', keys.globexAdmin, []],
        ['another user of the tenant', keys.bob, []],
        ['the user’s own key for another collection', keys.aliceElsewhere, []],
        // An admin administers tenants and keys of its own tenant, and still reads no private object of a user.
        ['the tenant’s own admin', keys.acmeAdmin, ['tenant_id', 'key_id']],
      ];
    };

    /** What the ids of alice's response and its items have in common. */
    const suffix = () => foreign.response_id?.replace('resp_', '');

    const send = (route: Route, ids: Ids, key: string) =>
      call(url, route.endpoint(ids), {
        key,
        ...(route.body === null ? {} : { json: minimalValue(route.body) }),
      });

    it('in every path answer as ids that do not exist', async () => {
      let tried = 0;
      for (const [who, key, reaches] of strangers()) {
        for (const route of routes) {
          const named = route.pathParameters.filter((name) => foreign[name] !== undefined);
          if (named.length === 0 || named.some((name) => reaches.includes(name))) continue;
          // Its credential is an invitation; a caller's own says no more than that they are of the tenant.
          if (isForInvited(route) && [seeded().keys.bob, seeded().keys.aliceElsewhere].includes(key))
            continue;
          const what = `${who}: ${route.method} ${route.path}`;
          const theirs = await send(route, foreign, key);
          expect(comparable(theirs, foreign), what).toEqual(
            comparable(await send(route, missing, key), missing),
          );
          expect(theirs.status, what).toBeGreaterThanOrEqual(400);
          for (const fact of Object.values(FACTS)) expect(theirs.text, what).not.toContain(fact.word);
          tried++;
        }
      }
      expect(tried).toBeGreaterThan(30);
    });

    it('mixed in one path reach nothing: the own tenant with a key of another', async () => {
      const { keys } = seeded();
      const route = routes.find(({ method, path }) => method === 'DELETE' && path.includes('{key_id}'));
      if (route === undefined) throw new Error('There is no route that revokes keys.');
      const mixed = { tenant_id: 'globex', key_id: foreign.key_id ?? '' };
      const theirs = await send(route, mixed, keys.globexAdmin);
      const nobodys = await send(route, { ...mixed, key_id: missing.key_id ?? '' }, keys.globexAdmin);
      expect(theirs.status).toBe(404);
      expect(comparable(theirs, mixed)).toEqual(comparable(nobodys, missing));
    });

    it('in every body answer as ids that do not exist', async () => {
      for (const [who, key] of strangers()) {
        for (const route of routes) {
          for (const name of Object.keys(route.body?.properties ?? {})) {
            const singular = name.replace(/s$/, '');
            const [theirs, nobodys] = [foreign[singular], missing[singular]];
            if (theirs === undefined || nobodys === undefined || singular === 'tenant_id') continue;
            const ask = (id: string) =>
              call(url, route.endpoint({ tenant_id: 'acme' }), {
                key,
                json: { ...Object(minimalValue(route.body ?? {})), [name]: singular === name ? id : [id] },
              });
            const what = `${who}: ${route.method} ${route.path}: ${name}`;
            expect(comparable(await ask(theirs), { [singular]: theirs }), what).toEqual(
              comparable(await ask(nobodys), { [singular]: nobodys }),
            );
          }
        }
      }
    });

    it('of responses and their items, in what a new one goes on from, answer as ids that do not exist', async () => {
      const none = '0'.repeat(26);
      const referring = (of: string | undefined) => [
        { input: 'Say that again.', previous_response_id: `resp_${of}` },
        { input: [{ type: 'item_reference', id: `msg_${of}_0` }] },
        {
          input: [
            { type: 'item_reference', id: `msg_${of}_in0` },
            { role: 'user', content: 'Why?' },
          ],
        },
        { input: [{ id: `msg_${of}_0` }, { role: 'user', content: 'Why?' }] },
        {
          input: [{ type: 'function_call_output', call_id: 'c', output: 'x' }],
          previous_response_id: `resp_${of}`,
        },
      ];
      for (const [who, key] of strangers()) {
        for (const [place, body] of referring(suffix()).entries()) {
          for (const stream of [false, true]) {
            const ask = (json: object | undefined) =>
              call(url, 'POST /v1/responses', { key, json: { model: 'bulkhead-chat', stream, ...json } });
            const theirs = await ask(body);
            const what = `${who}: ${JSON.stringify(body)}`;
            expect(comparable(theirs, { id: suffix() ?? '' }), what).toEqual(
              comparable(await ask(referring(none)[place]), { id: none }),
            );
            expect(theirs.status, what).toBe('previous_response_id' in body ? 400 : 404);
            for (const fact of Object.values(FACTS)) expect(theirs.text, what).not.toContain(fact.word);
          }
        }
      }
    });

    it('as the place where a page goes on show nothing of theirs', async () => {
      for (const [who, key] of strangers()) {
        for (const route of routes) {
          if (route.method !== 'GET' || !route.queryParameters.has('after')) continue;
          const own = { tenant_id: key === seeded().keys.acmeAdmin ? 'acme' : 'globex' };
          for (const id of [foreign.document_id, foreign.conversation_id, `msg_${suffix()}_in0`]) {
            const { text, status } = await call(url, route.endpoint(own, `?after=${id}`), { key });
            expect(status, `${who}: ${route.path}`).toBeLessThan(500);
            for (const fact of [FACTS.alice, FACTS.carol].filter(
              (one) => one !== FACTS.carol || who !== 'another tenant',
            )) {
              expect(text, `${who}: ${route.path}`).not.toContain(fact.word);
            }
          }
        }
      }
    });

    it('a tenant that is named against the credential is refused, on every route', async () => {
      const { keys } = seeded();
      for (const route of routes) {
        if (route.isPublic || route.path.startsWith('/admin')) continue;
        const what = `${route.method} ${route.path}`;
        const json = route.body === null ? undefined : minimalValue(route.body);
        const ask = (more: Parameters<typeof call>[2]) =>
          call(url, route.endpoint(missing), {
            key: keys.carol,
            ...(json === undefined ? {} : { json }),
            ...more,
          });
        for (const header of ['x-tenant-id', 'X-TENANT-ID']) {
          const answer = await ask({ headers: { [header]: 'acme' } });
          expect(answer.status, what).toBe(403);
          expect(at(answer.json, 'error.code'), what).toBe('tenant_mismatch');
        }
        if (json === undefined) continue;
        for (const [field, code] of [
          ['tenant_id', 'tenant_mismatch'],
          ['user_id', 'user_mismatch'],
        ] as const) {
          const value = field === 'tenant_id' ? 'acme' : 'alice';
          const answer = await ask({ json: { ...Object(json), [field]: value } });
          expect(answer.status, `${what}: ${field}`).toBe(403);
          expect(at(answer.json, 'error.code'), what).toBe(code);
        }
      }
    });

    it('headers that services use among themselves change nothing', async () => {
      const { keys } = seeded();
      const forged = {
        'x-bulkhead-tenant-id': 'acme',
        'x-bulkhead-rag-token': 'forged',
        x_bulkhead_tenant_id: 'acme',
        'x-user-id': 'alice',
        'x-forwarded-user': 'alice',
        'x-original-url': '/admin/tenants',
        'x-http-method-override': 'DELETE',
      };
      const list = (headers: Readonly<Record<string, string>>) =>
        call(url, 'GET /v1/vault/documents', { key: keys.carol, headers });
      expect((await list(forged)).text).toBe((await list({})).text);
    });

    it('no key reaches the administration that is not an admin’s', async () => {
      const { keys } = seeded();
      for (const route of routes.filter(({ path }) => path.startsWith('/admin'))) {
        for (const key of [keys.alice, keys.bob, keys.carol]) {
          expect((await send(route, foreign, key)).status, `${route.method} ${route.path}`).toBe(
            isForInvited(route) ? 401 : 403,
          );
        }
      }
      const promoted = await call(url, 'PATCH /admin/tenants/globex', {
        key: keys.globexAdmin,
        json: { rate_limits: { requests_per_minute: 1_000_000 } },
      });
      expect(promoted.status).toBe(403);
      const created = await call(url, 'POST /admin/tenants', {
        key: keys.globexAdmin,
        json: { tenant_id: 'mine', display_name: 'Mine' },
      });
      expect(created.status).toBe(403);
      const own = await call(url, 'GET /admin/tenants', { key: keys.globexAdmin });
      expect(listAt(own.json, 'data').map((tenant) => at(tenant, 'tenant_id'))).toEqual(['globex']);
    });

    it('after all of this, everything of alice’s is still hers', async () => {
      const { keys, documents } = seeded();
      const ids = (await listDocuments(url, keys.alice)).map((document) => at(document, 'document_id'));
      expect(ids).toContain(documents.alice);
      expect(ids).toContain(documents.acme);
      const kept = await call(url, `GET /v1/responses/${foreign.response_id}`, { key: keys.alice });
      expect([kept.status, kept.text.includes(FACTS.alice.word)]).toEqual([200, true]);
      const path = `GET /v1/conversations/${foreign.conversation_id}`;
      expect((await call(url, path, { key: keys.alice })).status).toBe(200);
      const list = await call(url, 'GET /admin/tenants/acme/keys', { key: keys.operator });
      const key = listAt(list.json, 'data').find((one) => at(one, 'key_id') === foreign.key_id);
      expect(at(key, 'revoked_at')).toBeNull();
    });
  });
}

/** Accepting an invitation: with a token that is none it is 401, whoever asks. */
const isForInvited = ({ path }: Route) => path.endsWith('/members/accept');

/**
 * An answer without what differs from request to request, and without the very id that was sent. Headers of the connection
 * depend on whether the body had come when it was refused.
 */
function comparable({ status, headers, text }: Answer, ids: Ids) {
  const {
    date: _date,
    'x-request-id': _id,
    connection: _connection,
    'keep-alive': _keepAlive,
    ...others
  } = headers;
  let body = text.replace(/req_[0-9a-z]{26}/g, 'req');
  for (const [name, id] of Object.entries(ids)) body = body.replaceAll(id, name);
  const settled = Object.fromEntries(
    Object.entries(others).filter(([name]) => !/^x-ratelimit-(?:remaining|reset)/.test(name)),
  );
  // An answer that was made anew has a conversation and times of its own.
  body = body
    .replace(/conv_[0-9a-z]{26}/g, 'conv')
    .replace(/"(latency_ms|embed_ms|search_ms)":[\d.]+/g, '"$1":0');
  return { status, headers: { ...settled, 'content-length': null }, body };
}
