import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { notFound } from '#app/errors/bulkhead-error.ts';
import { newConversationId, newRequestId, responseIdOf } from '#app/ids.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { createResponseStore } from '#router/responses/kept/response-store.ts';
import { createRouterFixture, seamOrchestrator, seamRag, threeWords } from '#test/support/router-fixture.ts';
import { testContext } from '#test/support/test-context.ts';

/** Everybody who may knock. What a path names is of the tenant acme, and private to its member. */
const CALLERS = [
  'nobody',
  'operator',
  'admin',
  'member',
  'service',
  "other tenant's member",
  "other tenant's admin",
  'revoked key',
  'expired key',
] as const;
type Caller = (typeof CALLERS)[number];

/** Bodies that are good, so that the answer is about the caller. Other routes are sent `{}`. */
const BODIES: Readonly<Record<string, object>> = {
  'POST /admin/tenants/:tenant_id/keys': { user_id: 'somebody' },
  'POST /admin/tenants/:tenant_id/members': { user_id: 'newcomer' },
  'PATCH /admin/tenants/:tenant_id/members/:user_id': { role: 'member' },
  'POST /admin/tenants/:tenant_id/members/accept': { token: 'none' },
  'PATCH /admin/tenants/:tenant_id': { display_name: 'acme' },
  'POST /admin/policy/dry-run': { tenant_id: 'acme', config: {} },
  'DELETE /admin/tenants/:tenant_id': { confirm: 'not its name' },
};
/** Where the tenant is named by the query. */
const QUERIES: Readonly<Record<string, string>> = {
  'GET /admin/audit': '?tenant_id=acme',
  'GET /admin/audit/verify': '?tenant_id=acme',
  'GET /admin/usage': '?tenant_id=acme',
};

const routes = new Set<string>();
const conversationId = newConversationId();
const rag = seamRag();
let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let headersOf: Record<Caller, Record<string, string>>;
let keyId: string;
let requestId: string;
let planted = 0;

/** One conversation of acme's member. */
function orchestratorWithConversation(): OrchestratorService {
  const at = new Date().toISOString();
  const conversation = {
    conversation_id: conversationId,
    title: 'x',
    message_count: 0,
    created_at: at,
    updated_at: at,
  };
  const own = ({ tenantId, userId }: TenantContext, id: string) => {
    if (tenantId !== 'acme' || userId !== 'alice' || id !== conversationId) throw notFound('conversation');
  };
  return {
    ...seamOrchestrator({ turn: threeWords }).service,
    async getConversation(context, id) {
      own(context, id);
      return { ...conversation, messages: [] };
    },
    async deleteConversation(context, id) {
      own(context, id);
    },
  };
}

beforeAll(async () => {
  fixture = await createRouterFixture({
    rag,
    orchestrator: orchestratorWithConversation(),
    onRoute({ method, url }) {
      for (const one of [method].flat()) if (one !== 'HEAD' && one !== 'OPTIONS') routes.add(`${one} ${url}`);
    },
  });
  for (const tenant of ['acme', 'globex']) {
    const rate_limits = { requests_per_minute: 1_000_000, requests_per_hour: 1_000_000 };
    await fixture.setConfig(tenant, { rate_limits });
  }
  const create = async (expires_at?: string) => {
    const response = await fixture.app.inject({
      method: 'POST',
      url: '/admin/tenants/acme/keys',
      headers: fixture.operator,
      payload: { user_id: 'alice', role: 'admin', ...(expires_at === undefined ? {} : { expires_at }) },
    });
    return { id: response.json().key_id, headers: { authorization: `Bearer ${response.json().api_key}` } };
  };
  const revoked = await create();
  keyId = revoked.id;
  await fixture.app.inject({
    method: 'DELETE',
    url: `/admin/tenants/acme/keys/${keyId}`,
    headers: fixture.operator,
  });
  const expired = await create(new Date(Date.now() + 500).toISOString());
  headersOf = {
    nobody: {},
    operator: fixture.operator,
    admin: await fixture.keyOf('acme', 'root', 'admin'),
    member: await fixture.keyOf('acme', 'alice', 'member'),
    service: await fixture.keyOf('acme', 'machine', 'service'),
    "other tenant's member": await fixture.keyOf('globex', 'alice', 'member'),
    "other tenant's admin": await fixture.keyOf('globex', 'root', 'admin'),
    'revoked key': revoked.headers,
    'expired key': expired.headers,
  };
  const logged = await fixture.app.inject({ url: '/v1/usage', headers: headersOf.member });
  requestId = String(logged.headers['x-request-id']);
  const isLogged = async () =>
    (
      await fixture.app.inject({
        url: `/admin/tenants/acme/requests/${requestId}`,
        headers: fixture.operator,
      })
    ).statusCode === 200;
  while (!(await isLogged())) await delay(50);
  const isOver = async () =>
    (await fixture.app.inject({ url: '/v1/usage', headers: expired.headers })).statusCode === 401;
  while (!(await isOver())) await delay(100);
});
afterAll(() => fixture.close());

async function plantDocument(): Promise<string> {
  const document = await rag.addDocument(
    testContext('acme', 'alice'),
    { filename: 'a.txt', media_type: 'text/plain', visibility: 'private' },
    Readable.from(['x']),
    new AbortController().signal,
  );
  return document.document_id;
}

/** A response that is kept for acme's member. */
async function plantResponse(): Promise<string> {
  const responseId = responseIdOf(newRequestId());
  const response = {
    responseId,
    previousResponseId: null,
    depth: 1,
    model: 'm',
    input: [],
    output: [],
    fields: {
      object: 'response',
      created_at: 1,
      completed_at: 1,
      status: 'completed',
      error: null,
      incomplete_details: null,
      model: 'm',
      system_fingerprint: null,
      usage: null,
      store: true,
    },
    outputBytes: 0,
    contextBytes: 0,
  };
  const store = createResponseStore({ database: fixture.database });
  await store.insert(testContext('acme', 'alice'), response, new AbortController().signal);
  return responseId;
}

/** A new member or invitation of acme, by its id. */
async function plant(what: string, id: 'user_id' | 'invitation_id'): Promise<string> {
  const { app, operator: headers } = fixture;
  const payload = { user_id: `user-${planted++}` };
  const response = await app.inject({ method: 'POST', url: `/admin/tenants/acme/${what}`, headers, payload });
  return response.json()[id];
}

/** `yes` where the caller gets past every permission, whatever is then wrong with the body. */
async function ask(route: string, caller: Caller): Promise<string> {
  const [method = '', url = ''] = route.split(' ');
  const values: Record<string, string> = {
    ':tenant_id': 'acme',
    ':key_id': keyId,
    ':version': '1',
    ':user_id': url.includes(':user_id') ? await plant('members', 'user_id') : '',
    ':invitation_id': url.includes(':invitation_id')
      ? await plant('members/invitations', 'invitation_id')
      : '',
    ':document_id': await plantDocument(),
    ':file_id': await plantDocument(),
    ':vector_store_id': 'vs_vault',
    ':conversation_id': conversationId,
    ':response_id': url.includes(':response_id') ? await plantResponse() : '',
    ':request_id': requestId,
    '*': url.startsWith('/docs') ? 'index.html' : 'org/model-a',
  };
  const path = url.replace(/:\w+|\*/g, (name) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${route}: say in this test what ${name} is to be.`);
    return value;
  });
  const response = await fixture.app.inject({
    method: method as 'GET',
    url: `${path}${QUERIES[route] ?? ''}`,
    headers: headersOf[caller],
    ...(method === 'GET' ? {} : { payload: BODIES[route] ?? {} }),
  });
  const { statusCode } = response;
  if (statusCode === 400 && url.includes(':tenant_id') && BODIES[route] === undefined) {
    throw new Error(`${route}: give it a good body in this test, so that the tenant is looked at.`);
  }
  if (statusCode >= 500 || statusCode === 429) throw new Error(`${route}, ${caller}: ${response.body}`);
  return [401, 403, 404, 405].includes(statusCode) ? String(statusCode) : 'yes';
}

test('docs/permissions.md says who may call what', { timeout: 120_000 }, async () => {
  const rows: string[] = [];
  const sorted = [...routes].sort((a, b) => {
    const [aMethod = '', aPath = ''] = a.split(' ');
    const [bMethod = '', bPath = ''] = b.split(' ');
    return aPath < bPath ? -1 : aPath > bPath ? 1 : aMethod < bMethod ? -1 : 1;
  });
  for (const route of sorted) {
    const cells: string[] = [];
    for (const caller of CALLERS) cells.push(await ask(route, caller));
    // Methods that a path does not have.
    if (cells.every((cell) => cell === '405')) continue;
    rows.push(`| \`${route}\` | ${cells.join(' | ')} |`);
  }
  const document = `# Who may call what

Made by \`src/router/permissions.test.ts\`, which asks every route of the running app as every caller, and fails where this
page says otherwise. After a change that is meant: \`npx vitest run --project unit src/router/permissions.test.ts -u\`.

- What a path or query names (\`:tenant_id\`, \`:key_id\`, \`:document_id\`, \`:file_id\`, \`:conversation_id\`, \`:response_id\`, \`?tenant_id=\`) is of the tenant
  \`acme\`; documents, conversations and responses are private to its member. Routes that name nothing act on the caller's own.
- \`yes\`: past every permission. \`401\`: the credential is not valid. \`403\`: it lacks the role or scope. \`404\`: not the
  caller's, and answered as what does not exist.
- Admin, member and service are keys of \`acme\` with all that their role may have. The policy of a tenant can take away more.
- An export asks for the scopes of all that it holds: \`tenant:admin\`, \`vault:read\`, \`conversations\`, \`usage:read\`.

| route | ${CALLERS.join(' | ')} |
|---|${CALLERS.map(() => '---|').join('')}
${rows.join('\n')}
`;
  expect(rows.length).toBeGreaterThan(25);
  await expect(document).toMatchFileSnapshot('../../docs/permissions.md');
});

test('no credential that is over and no stranger gets anywhere that is not public', async () => {
  const isPublic = (route: string) => /^GET \/(?:|healthz|readyz|openapi\.json|docs.*)$/.test(route);
  const open: string[] = [];
  for (const route of routes) {
    if (isPublic(route)) continue;
    for (const caller of ['nobody', 'revoked key', 'expired key'] as const) {
      const answer = await ask(route, caller);
      if (answer !== '401' && answer !== '405') open.push(`${route}: ${caller} got ${answer}`);
    }
  }
  expect(open).toEqual([]);
});
