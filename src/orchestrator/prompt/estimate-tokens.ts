const encoder = new TextEncoder();

/** UTF-8 bytes a token, on the careful side: English prose has about four, most other scripts three or more. */
const BYTES_PER_TOKEN = 3;

/** What a message costs beside its text, in the chat templates in use. */
const TOKENS_PER_MESSAGE = 6;

/** An upper estimate of tokens, for models whose tokenizer is not at hand. It decides what fits, never what is billed. */
export const estimateTokens = (text: string): number =>
  Math.ceil(encoder.encode(text).byteLength / BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE;
