import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import {
  EMBEDDING_MODEL,
  type EmbedRequest,
  type EmbedResult,
  MAX_TEXT_TOKENS,
} from '#app/schemas/embedding.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { splitWindows } from '#rag/embeddings/split-windows.ts';

export interface TextEmbeddings {
  /** Throws `missing_scope`, `model_not_found`, or `invalid_request` naming `texts.3` or `dimensions`. */
  embedTexts(context: TenantContext, request: EmbedRequest, signal: AbortSignal): Promise<EmbedResult>;
}

/**
 * The vault's own embedding model for clients' texts. Nothing is kept. A text longer than the model reads at once
 * is embedded in windows, whose vectors are averaged by length (the way of OpenAI's cookbook for long inputs):
 * models cut what is too long, and a client would not know.
 */
export function createTextEmbeddings({ embedder }: { embedder: Embedder }): TextEmbeddings {
  return {
    async embedTexts(context, { model, texts, dimensions }, signal) {
      if (!context.scopes.includes('chat')) {
        throw new BulkheadError('missing_scope', 'The credential lacks the scope chat.');
      }
      if (model !== EMBEDDING_MODEL && model !== embedder.id) {
        throw new BulkheadError(
          'model_not_found',
          `There is no embedding model of this name. Ask for ${EMBEDDING_MODEL}.`,
          { param: 'model' },
        );
      }
      if (dimensions !== undefined && dimensions !== embedder.dimensions) {
        throw invalid('dimensions', `this model’s vectors have ${embedder.dimensions}`);
      }
      const { tenantId } = context;
      const windows = [];
      for (const [place, text] of texts.entries()) {
        const split = await splitWindows(text, embedder, { tenantId, signal });
        const tokens = split.reduce((sum, window) => sum + window.tokens, 0);
        if (split.length === 0) throw invalid(`texts.${place}`, 'must hold more than white space');
        if (tokens > MAX_TEXT_TOKENS) {
          const param = `texts.${place}`;
          const message = `${param}: this model’s maximum context length is ${MAX_TEXT_TOKENS} tokens, and the text has ${tokens}`;
          throw new BulkheadError('context_length_exceeded', message, { param });
        }
        windows.push(split);
        await turnOfTenant(tenantId);
        signal.throwIfAborted();
      }
      // Not urgent: a long list takes turns with other tenants' lists and documents, and goes before no one's question.
      const vectors = await embedder.embedPassages(
        windows.flat().map(({ text }) => text),
        signal,
        { tenantId },
      );
      let next = 0;
      const joined = windows.map((split) => {
        const own = vectors.slice(next, next + split.length);
        next += split.length;
        return averageOf(
          own,
          split.map(({ tokens }) => tokens),
        );
      });
      return {
        vectors: joined,
        tokens: windows.flat().reduce((sum, { tokens }) => sum + tokens, 0),
      };
    },
  };
}

/** The mean by weight, of length one again. */
function averageOf(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const [first] = vectors;
  if (first === undefined) throw new BulkheadError('internal_error', 'A text has no vector.');
  if (vectors.length === 1) return first;
  const sum = new Float64Array(first.length);
  for (const [nth, vector] of vectors.entries()) {
    const weight = weights[nth] ?? 0;
    for (const [place, value] of vector.entries()) sum[place] = (sum[place] ?? 0) + value * weight;
  }
  const norm = Math.hypot(...sum);
  return Float32Array.from(sum, (value) => (norm === 0 ? 0 : value / norm));
}

const invalid = (param: string, message: string) =>
  new BulkheadError('invalid_request', `${param}: ${message}`, { param });
