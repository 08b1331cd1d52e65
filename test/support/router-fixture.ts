import { Buffer } from 'node:buffer';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import type { LightMyRequestResponse } from 'fastify';
import { notFound } from '#app/errors/bulkhead-error.ts';
import { newConversationId, newDocumentId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { type Page, toPage } from '#app/schemas/page.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import type { TurnEvent, TurnRequest } from '#app/schemas/turn.ts';
import type { VaultDocument } from '#app/schemas/vault-document.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { RagService } from '#app/services/rag-service.ts';
import { SCOPES_OF_ROLE, type Scope, type TenantContext, type TenantRole } from '#app/tenant-context.ts';
import { silentLogger } from '#observability/logger.ts';
import { buildRouterApp, type RouterAppOptions } from '#router/app.ts';
import type { AnsweredError } from '#router/http/error-handler.ts';
import { formatApiKey, newApiKey } from '#router/identity/api-key.ts';
import { createApiKeyStore } from '#router/identity/api-key-store.ts';
import type { RouterSettings } from '#router/router-services.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { oneByOne } from '#test/support/batches.ts';
import { createTestDatabase } from './create-test-database.ts';
import { undocumentedErrors } from './documented-errors.ts';

const PEPPER = 'a pepper of at least thirty-two characters';

/** How the seam's turns go; a test may replace it. */
export type TurnScript = (
  context: TenantContext,
  request: TurnRequest,
  signal: AbortSignal,
) => AsyncIterable<TurnEvent>;

/** Three words, counted, of whichever route was asked. */
export const threeWords: TurnScript = async function* (_context, request, signal) {
  const { route } = request;
  const model = request.model ?? 'default-model';
  const conversation_id = request.persist ? (request.conversation_id ?? newConversationId()) : null;
  yield { type: 'started', conversation_id, route, model, engine: 'seam' };
  if (route === 'rag') yield { type: 'retrieved', citations: [] };
  for (const text of ['one ', 'two ', 'three']) {
    signal.throwIfAborted();
    if (route === 'direct') {
      const choices = [{ index: 0, delta: { content: text }, finish_reason: null }];
      const chunk = { id: 'x', object: 'chat.completion.chunk' as const, created: 1, model, choices };
      yield { type: 'chunk', chunk };
    } else yield { type: 'delta', text };
  }
  yield {
    type: 'finished',
    finish_reason: 'stop',
    token_usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    citations: [],
    chunk_ids: [],
    refusal_reason: null,
    timings: { retrieve_ms: 1, generate_ms: 2, first_token_ms: 1 },
  };
};

/** Waits until it is aborted, after a first word. */
export const endless: TurnScript = async function* (_context, request, signal) {
  const { route } = request;
  yield { type: 'started', conversation_id: newConversationId(), route, model: 'm', engine: 'seam' };
  yield { type: 'delta', text: 'first ' };
  await delay(60_000, undefined, { signal });
};

const emptyPage = <Item>(): Page<Item> => toPage<Item>([], 1, () => '');

/** The orchestrator's interface in a few lines: the seam, for tests of the router alone. */
export function seamOrchestrator(script: { turn: TurnScript }) {
  const turns: TurnRequest[] = [];
  const service: OrchestratorService = {
    runTurn(context, request, signal) {
      turns.push(request);
      return oneByOne(script.turn(context, request, signal));
    },
    listEngineModels: async () => [{ id: 'org/model-a', owned_by: 'org', created: 1 }],
    listConversations: async () => emptyPage(),
    getConversation: async () => Promise.reject(notFound('conversation')),
    deleteConversation: async () => Promise.reject(notFound('conversation')),
    checkReady: async () => ({ engine: 'ok' }),
  };
  return { service, turns };
}

/** The RAG service's interface over a map. */
export function seamRag(): RagService {
  const documents = new Map<string, { document: VaultDocument; bytes: Buffer }>();
  const find = (context: TenantContext, id: string) => {
    const found = documents.get(id);
    const { document } = found ?? {};
    const isVisible =
      document?.tenant_id === context.tenantId &&
      (document.visibility === 'tenant' || document.user_id === context.userId);
    if (found === undefined || !isVisible) throw notFound('document', 'document_id');
    return found;
  };
  return {
    retrieveForTenant: async () => ({ chunks: [], timings: { embed_ms: 1, search_ms: 1 } }),
    async addDocument(context, upload, body) {
      const bytes = await buffer(body);
      const at = new Date().toISOString();
      const document: VaultDocument = {
        document_id: newDocumentId(),
        tenant_id: context.tenantId,
        user_id: context.userId,
        visibility: upload.visibility,
        collection: upload.collection ?? 'default',
        title: upload.title ?? upload.filename,
        filename: upload.filename,
        media_type: upload.media_type,
        byte_size: bytes.length,
        content_hash: '0'.repeat(64),
        status: 'ready',
        progress: null,
        error: null,
        chunk_count: 0,
        page_count: null,
        created_at: at,
        updated_at: at,
      };
      documents.set(document.document_id, { document, bytes });
      return document;
    },
    async listDocuments(context, { limit, collection }) {
      const own = [...documents.values()]
        .map(({ document }) => document)
        .filter(({ tenant_id }) => tenant_id === context.tenantId)
        .filter((document) => collection === undefined || document.collection === collection);
      return toPage(own, limit, ({ document_id }) => document_id);
    },
    async summariseVault(context) {
      const own = [...documents.values()].filter(({ document }) => document.tenant_id === context.tenantId);
      return {
        documents: { pending: 0, indexing: 0, ready: own.length, failed: 0 },
        bytes: own.reduce((sum, { bytes }) => sum + bytes.length, 0),
        storage: null,
      };
    },
    getDocument: async (context, id) => find(context, id).document,
    async readDocument(context, id) {
      const { document, bytes } = find(context, id);
      return { document, body: Readable.from([bytes]) };
    },
    readDocumentText: async (context, id) => ({ document: find(context, id).document, pages: [] }),
    async deleteDocument(context, id) {
      documents.delete(find(context, id).document.document_id);
    },
    embedTexts: async (_context, { texts }) => ({
      vectors: texts.map((text) => Float32Array.of(text.length, 0.5)),
      tokens: texts.length,
    }),
    async eraseTenant({ tenantId }) {
      for (const [id, { document }] of documents) if (document.tenant_id === tenantId) documents.delete(id);
    },
    checkReady: async () => {},
  };
}

/** A router over a real database and the seams, with tenants acme and globex. */
export async function createRouterFixture({
  settings,
  ...others
}: Partial<Omit<RouterAppOptions, 'settings'>> & { settings?: Partial<RouterSettings> } = {}) {
  const open = await createTestDatabase();
  const dataDirectory = await mkdtemp(join(tmpdir(), 'bulkhead-router-'));
  const script = { turn: threeWords };
  const orchestrator = seamOrchestrator(script);
  const operatorKey = formatApiKey(newApiKey());
  const tenants = createTenantStore({ database: open.database });
  for (const tenant_id of ['acme', 'globex']) {
    await tenants.create(tenantConfigSchema.parse({ tenant_id, display_name: tenant_id }), 'test');
  }
  const errors: AnsweredError[] = [];
  const app = await buildRouterApp({
    onError: (error) => errors.push(error),
    database: open.database,
    orchestrator: orchestrator.service,
    rag: seamRag(),
    settings: {
      MAX_BODY_BYTES: 1_048_576,
      MAX_DOCUMENT_BYTES: 1_048_576,
      BULKHEAD_DATA_DIR: dataDirectory,
      USAGE_LOG_DIR: undefined,
      USAGE_LOG_MAX_BYTES: 1_073_741_824,
      USAGE_LOG_SYNC: 'background',
      PRICE_PER_MILLION_PROMPT_TOKENS_USD: 1,
      PRICE_PER_MILLION_COMPLETION_TOKENS_USD: 2,
      OPERATOR_KEY: operatorKey,
      NODE_ENV: 'test',
      CORS_ALLOWED_ORIGINS: [],
      JWT_ISSUERS: [],
      TRUSTED_PROXIES: [],
      TRUST_TENANT_HEADER: false,
      REDIS_URL: undefined,
      REDIS_CLUSTER: false,
      REDIS_TIMEOUT_MS: 50,
      GUARDRAIL_JUDGES: [],
      API_KEY_PEPPER: PEPPER,
      ...settings,
    },
    logger: silentLogger,
    ...others,
  });
  const apiKeys = createApiKeyStore({ database: open.database, pepper: PEPPER });

  /** A new key, as the headers that use it. */
  async function keyOf(
    tenantId: string,
    userId = 'alice',
    role: TenantRole = 'member',
    scopes: readonly Scope[] = SCOPES_OF_ROLE[role],
  ) {
    const created = await apiKeys.create({
      tenantId: tenantIdSchema.parse(tenantId),
      userId: userIdSchema.parse(userId),
      role,
      scopes,
      name: 'test',
      expiresAt: null,
    });
    return { authorization: `Bearer ${created.api_key}` };
  }

  return {
    app,
    database: open.database,
    script,
    turns: orchestrator.turns,
    operator: { authorization: `Bearer ${operatorKey}` },
    keyOf,
    async usageRows() {
      // Asked for, usage is brought to the database first. A router that is closed has done so.
      const headers = { authorization: `Bearer ${operatorKey}` };
      await app.inject({ url: '/admin/usage', headers }).catch(() => undefined);
      return open.database.asSystem((transaction) =>
        transaction.query('SELECT * FROM bulkhead.usage_records ORDER BY request_id'),
      );
    },
    async setConfig(tenantId: string, patch: Record<string, unknown>): Promise<LightMyRequestResponse> {
      return app.inject({
        method: 'PATCH',
        url: `/admin/tenants/${tenantId}`,
        headers: { authorization: `Bearer ${operatorKey}` },
        payload: patch,
      });
    },
    /** Throws where a route answered with an error that the document of the API does not tell of. */
    async close() {
      const undocumented = undocumentedErrors(app, errors);
      await app.close();
      await open.close();
      await rm(dataDirectory, { recursive: true, force: true });
      if (undocumented.length > 0) throw new Error(`Not in /openapi.json: ${undocumented.join(', ')}`);
    },
  };
}

/** A multipart body of these parts. */
export function multipartOf(
  parts: readonly { name: string; value: string | Buffer; filename?: string; type?: string }[],
): { payload: Buffer; headers: Record<string, string> } {
  const boundary = 'test-boundary';
  const pieces = parts.flatMap(({ name, value, filename, type }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"` +
        `${filename === undefined ? '' : `; filename="${filename}"`}\r\n` +
        `${type === undefined ? '' : `Content-Type: ${type}\r\n`}\r\n`,
    ),
    Buffer.from(value),
    Buffer.from('\r\n'),
  ]);
  return {
    payload: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  };
}
