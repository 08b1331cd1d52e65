import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';
import { MAX_TEXT_CHARACTERS, MAX_TEXT_TOKENS } from '#app/schemas/embedding.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';
import { loadTokenDecoder, type TokenDecoder } from '#router/embeddings/decode-tokens.ts';

/** As at OpenAI; LangChain sends up to 1,000 and LlamaIndex up to 2,048. */
export const MAX_TEXTS = 2_048;
/** All texts of a request together: minutes of work for a small machine. */
export const MAX_TOTAL_CHARACTERS = 2_000_000;

/** Tokens that are decoded before other requests have their turn. */
const TOKENS_A_TURN = 20_000;

/**
 * The texts of an embeddings request, whichever of the API's four forms they come in: a text, texts, token ids, or
 * lists of token ids. Throws `invalid_request` naming the item, such as `input.3` or `input.3.17`.
 */
export async function readEmbeddingInput(input: unknown, tenantId: TenantId): Promise<string[]> {
  if (typeof input === 'string') return checkedTexts([input], () => 'input');
  if (input === undefined) throw invalid('input', 'is required');
  if (!Array.isArray(input)) throw invalid('input', 'must be a string, or an array of strings or of tokens');
  const items: readonly unknown[] = input;
  if (items.length === 0) throw invalid('input', 'must not be empty');
  if (typeof items[0] === 'number') {
    return checkedTexts([decodeTokens(await loadTokenDecoder(), items, 'input')], () => 'input');
  }
  if (items.length > MAX_TEXTS) {
    throw invalid('input', `has ${items.length} items, and at most ${MAX_TEXTS} are taken`);
  }
  const texts: string[] = [];
  let characters = 0;
  let sinceTurn = 0;
  for (const [place, item] of items.entries()) {
    const param = `input.${place}`;
    if (typeof item === 'string') texts.push(item);
    else if (Array.isArray(item)) {
      texts.push(decodeTokens(await loadTokenDecoder(), item, param));
      sinceTurn += item.length;
    } else throw invalid(param, 'must be a string or an array of tokens');
    characters += texts[place]?.length ?? 0;
    if (characters > MAX_TOTAL_CHARACTERS) throw tooMuch();
    if (sinceTurn < TOKENS_A_TURN) continue;
    sinceTurn = 0;
    await turnOfTenant(tenantId);
  }
  return checkedTexts(texts, (place) => `input.${place}`);
}

function decodeTokens(decoder: TokenDecoder, tokens: readonly unknown[], param: string): string {
  if (tokens.length > MAX_TEXT_TOKENS) {
    const message = `${param}: this model’s maximum context length is ${MAX_TEXT_TOKENS} tokens, and the text has ${tokens.length}`;
    throw new BulkheadError('context_length_exceeded', message, { param });
  }
  const ids = tokens.map((token, place) => {
    if (typeof token !== 'number' || !Number.isInteger(token) || token < 0) {
      throw invalid(`${param}.${place}`, 'must be a token id, as the others are');
    }
    return token;
  });
  const text = decoder.decode(ids);
  if (typeof text === 'string') return text;
  throw invalid(`${param}.${text.unknown}`, 'is no token of cl100k_base; send the text itself');
}

function checkedTexts(texts: string[], paramOf: (place: number) => string): string[] {
  for (const [place, text] of texts.entries()) {
    if (text.trim() === '') throw invalid(paramOf(place), 'must not be empty');
    if (text.length > MAX_TEXT_CHARACTERS) {
      // It is not tokenized to find out by how much.
      const param = paramOf(place);
      const message = `${param}: this model’s maximum context length is ${MAX_TEXT_TOKENS} tokens, and the text has ${text.length} characters; at most ${MAX_TEXT_CHARACTERS} are read`;
      throw new BulkheadError('context_length_exceeded', message, { param });
    }
  }
  return texts;
}

const tooMuch = () =>
  invalid('input', `has more than ${MAX_TOTAL_CHARACTERS} characters; send it in several requests`);

const invalid = (param: string, message: string) =>
  new BulkheadError('invalid_request', `${param}: ${message}`, { param });
