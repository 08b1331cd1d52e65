import type { FastifyRequest } from 'fastify';
import type { RetrieveRequest, RetrieveResult } from '#app/schemas/vault-document.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { RouterServices } from '#router/router-services.ts';
import { admitTexts } from '#router/turns/admit-texts.ts';

/**
 * Searches the caller's documents as every surface does: policies and guardrails first. What a request leaves open is as
 * the tenant's policy has it. Throws refusals that name the field `param`.
 */
export async function searchDocuments(options: {
  request: FastifyRequest;
  services: Pick<RouterServices, 'rag' | 'guardrails' | 'content' | 'logger'>;
  /** The field that holds the query. */
  param: string;
  search: Pick<RetrieveRequest, 'query'> & {
    [Name in keyof RetrieveRequest]?: RetrieveRequest[Name] | null | undefined;
  };
}): Promise<RetrieveResult> {
  const { request, services, param, search } = options;
  const { rag, guardrails, content, logger } = services;
  const state = stateOf(request);
  const { usage, signal, requestId } = state;
  const tenant = tenantOf(request);
  const { context, policy } = tenant;
  const texts = [{ text: search.query, param }];
  await admitTexts({ texts, tenant, state, content, logger });
  const [query = ''] = await guardrails.input.guardTexts({ context, policy, requestId, signal }, texts);
  const { document_ids, collection } = search;
  const found = await rag.retrieveForTenant(
    context,
    {
      query,
      top_k: search.top_k ?? policy.config.rag.top_k,
      diversity: search.diversity ?? policy.config.rag.diversity,
      ...(document_ids == null ? {} : { document_ids }),
      ...(collection == null ? {} : { collection }),
    },
    signal,
  );
  usage.chunkIds = found.chunks.map(({ chunk_id }) => chunk_id);
  usage.explained.retrieved = found.chunks.map(({ chunk_id, score }) => ({ chunk_id, score }));
  usage.explained.retrieveMs = found.timings.embed_ms + found.timings.search_ms;
  return found;
}
