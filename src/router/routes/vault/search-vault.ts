import { z } from 'zod';
import { retrievedChunkSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { retrieveRequestSchema } from '#app/schemas/vault-document.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { admitTexts } from '#router/turns/admit-texts.ts';

const searchRequestSchema = z.strictObject({
  ...retrieveRequestSchema.partial({ top_k: true, diversity: true }).shape,
  tenant_id: z.string().optional(),
  user_id: z.string().optional(),
});

/** `POST /v1/vault/search` */
export const searchVault: Endpoint = (app, { rag, guardrails, logger }) => {
  app.route({
    method: 'POST',
    url: '/v1/vault/search',
    schema: {
      ...TAGS.vault,
      summary: 'The passages nearest to a query, best first',
      body: searchRequestSchema,
      response: answers(
        z.object({
          object: z.literal('list'),
          data: z.array(retrievedChunkSchema),
          timings: z.object({ embed_ms: z.number(), search_ms: z.number() }),
        }),
      ),
    },
    handler: async (request) => {
      const state = stateOf(request);
      const { usage, signal, requestId } = state;
      const tenant = tenantOf(request);
      const { context, policy } = tenant;
      const { query: asked, top_k, diversity, document_ids } = request.body;
      const texts = [{ text: asked, param: 'query' }];
      await admitTexts({ texts, tenant, state, logger });
      const [query = ''] = await guardrails.input.guardTexts({ context, policy, requestId, signal }, texts);
      const found = await rag.retrieveForTenant(
        context,
        {
          query,
          top_k: top_k ?? policy.config.rag.top_k,
          diversity: diversity ?? policy.config.rag.diversity,
          ...(document_ids === undefined ? {} : { document_ids }),
        },
        signal,
      );
      usage.chunkIds = found.chunks.map(({ chunk_id }) => chunk_id);
      usage.explained.retrieved = found.chunks.map(({ chunk_id, score }) => ({ chunk_id, score }));
      usage.explained.retrieveMs = found.timings.embed_ms + found.timings.search_ms;
      return { object: 'list' as const, data: found.chunks, timings: found.timings };
    },
  });
};
