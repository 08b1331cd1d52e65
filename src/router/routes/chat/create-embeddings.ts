import type { FastifyReply } from 'fastify';
import { embedAll } from '#router/embeddings/embed-all.ts';
import { embeddingListSchema, embeddingRequestSchema } from '#router/embeddings/embedding-schema.ts';
import { readEmbeddingInput } from '#router/embeddings/read-embedding-input.ts';
import { renderEmbeddings } from '#router/embeddings/render-embeddings.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import { estimateTextTokens } from '#router/limits/estimate-tokens.ts';
import { decideKeyModel, decideModel } from '#router/policy/decide-model.ts';
import { refusalError } from '#router/policy/refusal.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { admitTexts } from '#router/turns/admit-texts.ts';

/** `POST /v1/embeddings`: vectors by the model that indexes the vault. */
export const createEmbeddings: Endpoint = (app, { rag, prices, logger, guardrails, content }) => {
  app.route({
    method: 'POST',
    url: '/v1/embeddings',
    schema: {
      ...TAGS.chat,
      summary: 'OpenAI-compatible embeddings',
      description:
        'Vectors of length one by `bulkhead-embed`, the model that indexes the documents. Nothing is kept of the texts. ' +
        'It goes with the tenant’s route `direct`.',
      body: embeddingRequestSchema,
      response: answers(embeddingListSchema),
    },
    handler: async (request, reply) => {
      const { model, input, encoding_format: encoding, dimensions } = request.body;
      const state = stateOf(request);
      const tenant = tenantOf(request);
      state.usage.model = model;
      state.usage.explained.requestedModel = model;
      const refusal = decideModel(tenant.policy, model) ?? decideKeyModel(tenant.limits.models, model);
      if (refusal !== null) throw refusalError(refusal);
      const read = (await readEmbeddingInput(input, tenant.context.tenantId)).map((text, place) => ({
        text,
        param: typeof input === 'string' ? 'input' : `input.${place}`,
      }));
      await admitTexts({ texts: read, tenant, state, content, logger });
      const { requestId, signal } = state;
      const texts = await guardrails.input.guardTexts({ ...tenant, requestId, signal }, read);
      await state.usage.meter.begin();
      state.usage.price = prices.priceOf(model);
      let tokens = 0;
      const vectors = await embedAll({
        rag,
        context: tenant.context,
        model,
        texts,
        dimensions: dimensions ?? undefined,
        onAsked: (part) => {
          const bodyBytes = part.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
          const asked = estimateTextTokens({ surface: '', body: part, bodyBytes });
          state.usage.untoldTokens = Math.min(asked, state.usage.promptTokens);
          state.usage.meter.advance();
        },
        onTokens: (more) => {
          tokens += more;
          state.usage.untoldTokens = 0;
          state.usage.tokens = { prompt_tokens: tokens, completion_tokens: 0, total_tokens: tokens };
          state.usage.meter.advance();
        },
        signal: state.signal,
      });
      const { tenantId } = tenant.context;
      const format = encoding ?? 'float';
      const body = await renderEmbeddings({ vectors, encoding: format, model, tokens, tenantId });
      return sendRendered(reply, body);
    },
  });
};

/** The schema describes the answer; what is sent is its text already. */
const sendRendered = (reply: FastifyReply, body: string): FastifyReply =>
  reply.type('application/json; charset=utf-8').send(body);
