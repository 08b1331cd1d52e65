import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { MAX_TEXTS_PER_CALL } from '#app/schemas/embedding.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';

/** A few seconds of work: each call ends within the time of a call, whatever the size of the request. */
const CHARACTERS_PER_CALL = 32_000;

/**
 * A list of any length, a few texts at a time. `onAsked` hears the texts of each call before it, and `onTokens` their tokens
 * as soon as they are known.
 */
export async function embedAll(options: {
  rag: Pick<RagService, 'embedTexts'>;
  context: TenantContext;
  model: string;
  texts: readonly string[];
  dimensions: number | undefined;
  onAsked: (texts: readonly string[]) => void;
  onTokens: (tokens: number) => void;
  signal: AbortSignal;
}): Promise<Float32Array[]> {
  const { rag, context, model, texts, dimensions, onAsked, onTokens, signal } = options;
  const vectors: Float32Array[] = [];
  while (vectors.length < texts.length) {
    const part = nextPart(texts, vectors.length);
    const request = { model, texts: part, ...(dimensions === undefined ? {} : { dimensions }) };
    onAsked(part);
    let result: Awaited<ReturnType<RagService['embedTexts']>>;
    try {
      result = await rag.embedTexts(context, request, signal);
    } catch (error) {
      throw nameInput(error, vectors.length);
    }
    onTokens(result.tokens);
    vectors.push(...result.vectors);
  }
  return vectors;
}

function nextPart(texts: readonly string[], start: number): string[] {
  let end = start;
  let characters = 0;
  while (end < texts.length && end - start < MAX_TEXTS_PER_CALL) {
    characters += texts[end]?.length ?? 0;
    if (characters > CHARACTERS_PER_CALL && end > start) break;
    end += 1;
  }
  return texts.slice(start, end);
}

/** `texts.3` of a call is `input.67` to the client. */
function nameInput(error: unknown, offset: number): unknown {
  if (!(error instanceof BulkheadError)) return error;
  const place = /^texts\.(\d+)/.exec(error.param ?? '')?.[1];
  if (place === undefined) return error;
  const param = `input.${offset + Number(place)}`;
  const message = error.message.replace(/^texts\.\d+/, param);
  return new BulkheadError(error.code, message, { param, cause: error });
}
