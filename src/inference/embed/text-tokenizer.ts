import { Tokenizer } from '@huggingface/tokenizers';
import { streamSafe } from '#app/stream-safe.ts';
import { type ModelManifest, readModelFile } from '#inference/embed/model-manifest.ts';

/** Text to the token ids that a model was trained on. */
export interface TextTokenizer {
  /** Ids with the model's special tokens around them, cut to `maxTokens` with the closing one kept. */
  encode(text: string, maxTokens: number): number[];
  /** Tokens of the text, special tokens left out. */
  countTokens(text: string): number;
}

/**
 * One token is at least a character, and in natural text about four. Characters beyond this many a token
 * cannot matter in a text that is cut anyway, and need not be tokenized.
 */
const LONGEST_TEXT_PER_TOKEN = 16;

/**
 * The reference tokenizer parts ideographs of every plane; the JavaScript one looks at UTF-16 units and misses
 * those beyond the first plane. Spaces around them give the same tokens.
 */
const SUPPLEMENTARY_IDEOGRAPH =
  /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** Loads `tokenizer.json` of a model directory, checked against the manifest. */
export async function loadTextTokenizer(
  modelDirectory: string,
  manifest: ModelManifest,
): Promise<TextTokenizer> {
  const bytes = await readModelFile(modelDirectory, manifest, 'tokenizer.json');
  const tokenizer = new Tokenizer(JSON.parse(Buffer.from(bytes).toString('utf8')), {});
  const idsOf = (text: string, add_special_tokens: boolean): number[] =>
    tokenizer.encode(streamSafe(text).replace(SUPPLEMENTARY_IDEOGRAPH, ' $& '), { add_special_tokens }).ids;
  return {
    encode(text, maxTokens) {
      const ids = idsOf(text.slice(0, maxTokens * LONGEST_TEXT_PER_TOKEN), true);
      const last = ids.at(-1);
      if (ids.length <= maxTokens || last === undefined) return ids;
      return [...ids.slice(0, maxTokens - 1), last];
    },
    countTokens: (text) => idsOf(text, false).length,
  };
}
