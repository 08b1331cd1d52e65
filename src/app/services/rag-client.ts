import { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { errorFromBody } from '#app/errors/error-body.ts';
import type { InternalTokenSource } from '#app/http/internal-token.ts';
import { pageOf } from '#app/schemas/page.ts';
import { retrieveResultSchema, vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import {
  decodeMetadataHeader,
  documentTextSchema,
  encodeMetadataHeader,
  RAG_METADATA_HEADER,
  RAG_PATHS,
} from '#app/services/rag-http.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';

export type RagClientOptions = Readonly<{
  /** Where the RAG service listens. */
  baseUrl: string;
  /** Minted by the router, forwarded by the orchestrator. */
  tokens: InternalTokenSource;
  connectTimeoutMs?: number;
  /** Longest for an answer that is not streamed, milliseconds. */
  requestTimeoutMs?: number;
  /** Longest silence of a stream, milliseconds. */
  idleTimeoutMs?: number;
  connections?: number;
}>;

const SERVICE = 'RAG service';
/** An error's body is a few hundred bytes. */
const MAX_ERROR_BYTES = 65_536;

type Call = {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  headers?: Record<string, string>;
  body?: string | Readable;
};

/** The RAG service over HTTP. It behaves as the one in process does: the same results, errors and aborts. */
export function createRagClient(options: RagClientOptions): RagService & { close(): Promise<void> } {
  const { tokens, connectTimeoutMs = 2_000, requestTimeoutMs = 30_000, idleTimeoutMs = 60_000 } = options;
  const base = new URL(options.baseUrl);
  const prefix = base.pathname.replace(/\/$/, '');
  const pool = new Pool(base.origin, {
    connections: options.connections ?? 64,
    connect: { timeout: connectTimeoutMs },
    headersTimeout: idleTimeoutMs,
    bodyTimeout: idleTimeoutMs,
  });

  async function send(
    authorization: string | null,
    { method, path, headers = {}, body }: Call,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const response = await pool.request({
      method,
      path: prefix + path,
      headers: { ...headers, ...(authorization === null ? {} : { authorization }) },
      ...(body === undefined ? {} : { body }),
      signal,
    });
    if (response.statusCode < 400) return response;
    throw errorFromBody(await readErrorBody(response.body), SERVICE);
  }

  const authorizationOf = async (context: TenantContext) =>
    `Bearer ${await tokens.tokenFor(context, 'rag-service')}`;

  /** A whole answer within the request's time. */
  async function call<Schema extends z.ZodType>(
    context: TenantContext,
    what: Call,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<z.output<Schema>> {
    signal.throwIfAborted();
    try {
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]);
      const { body } = await send(await authorizationOf(context), what, inTime);
      return parseAnswer(schema, await body.json());
    } catch (error) {
      throw translate(error, signal);
    }
  }

  const documentPath = (documentId: string) => `${RAG_PATHS.documents}/${encodeURIComponent(documentId)}`;

  return {
    retrieveForTenant: (context, request, signal) =>
      call(
        context,
        {
          method: 'POST',
          path: RAG_PATHS.retrieve,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(request),
        },
        retrieveResultSchema,
        signal,
      ),

    async addDocument(context, upload, body, signal) {
      // The body may fail while nobody listens to it yet.
      body.on('error', () => {});
      signal.throwIfAborted();
      const source = Readable.from(chunksOf(body), { objectMode: false });
      let broken: unknown;
      source.on('error', (error) => {
        broken = error;
      });
      try {
        const { body: answer } = await send(
          await authorizationOf(context),
          {
            method: 'POST',
            path: RAG_PATHS.documents,
            headers: {
              'content-type': 'application/octet-stream',
              [RAG_METADATA_HEADER]: encodeMetadataHeader(upload),
            },
            body: source,
          },
          signal,
        );
        return parseAnswer(vaultDocumentSchema, await answer.json());
      } catch (error) {
        if (!signal.aborted && broken !== undefined && error === broken) {
          if (error instanceof BulkheadError) throw error;
          throw new BulkheadError('client_closed', 'The upload broke off.', { cause: error });
        }
        throw translate(error, signal);
      } finally {
        source.destroy();
      }
    },

    listDocuments(context, page, signal) {
      const query = new URLSearchParams({ limit: String(page.limit) });
      if (page.after !== undefined) query.set('after', page.after);
      const path = `${RAG_PATHS.documents}?${query}`;
      return call(context, { method: 'GET', path }, pageOf(vaultDocumentSchema), signal);
    },

    getDocument: (context, documentId, signal) =>
      call(context, { method: 'GET', path: documentPath(documentId) }, vaultDocumentSchema, signal),

    async readDocument(context, documentId, signal) {
      signal.throwIfAborted();
      try {
        const path = `${documentPath(documentId)}/content`;
        const { headers, body } = await send(await authorizationOf(context), { method: 'GET', path }, signal);
        const document = parseAnswer(vaultDocumentSchema, decodeMetadataHeader(headers[RAG_METADATA_HEADER]));
        return { document, body };
      } catch (error) {
        throw translate(error, signal);
      }
    },

    readDocumentText: (context, documentId, signal) =>
      call(context, { method: 'GET', path: `${documentPath(documentId)}/text` }, documentTextSchema, signal),

    async deleteDocument(context, documentId, signal) {
      signal.throwIfAborted();
      try {
        const what: Call = { method: 'DELETE', path: documentPath(documentId) };
        const { body } = await send(await authorizationOf(context), what, signal);
        await body.dump();
      } catch (error) {
        throw translate(error, signal);
      }
    },

    async checkReady(signal) {
      try {
        const { body } = await send(null, { method: 'GET', path: '/readyz' }, signal);
        await body.dump();
      } catch (error) {
        throw translate(error, signal);
      }
    },

    close: () => pool.close(),
  };
}

/** An early refusal ends the sending and not the body: whoever holds its connection must still answer on it. */
async function* chunksOf(body: Readable): AsyncGenerator<unknown> {
  const chunks = body.iterator({ destroyOnReturn: false });
  try {
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  } finally {
    await chunks.return?.();
  }
}

async function readErrorBody(body: Dispatcher.ResponseData['body']): Promise<unknown> {
  let text = '';
  try {
    for await (const chunk of body) {
      text += String(chunk);
      if (text.length > MAX_ERROR_BYTES) return undefined;
    }
    return JSON.parse(text);
  } catch {
    // Half an error, or none in JSON, from a proxy perhaps: errorFromBody says that it is not understood.
    return undefined;
  }
}

function parseAnswer<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new BulkheadError('service_unavailable', `The ${SERVICE} gave an answer that is not understood.`, {
    cause: parsed.error,
  });
}

/** An abort stays the caller's own; whatever else the connection does means that the service is not there. */
function translate(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof BulkheadError) return error;
  return new BulkheadError('service_unavailable', `The ${SERVICE} cannot be reached.`, { cause: error });
}
