/**
 * Text of cl100k_base token ids. LangChain's `OpenAIEmbeddings` sends these by default, for models that it does not
 * know, too; servers that take them for ids of their own model (vLLM, llama.cpp) give vectors of another text.
 */
export type TokenDecoder = Readonly<{
  /** null for an id that the encoding does not have. Halves of characters become U+FFFD. */
  decode(ids: readonly number[]): string | { unknown: number };
}>;

let loading: Promise<TokenDecoder> | undefined;

/** Loads the encoding's table (1 MB) when the first tokens come: most clients send text. */
export function loadTokenDecoder(): Promise<TokenDecoder> {
  loading ??= import('js-tiktoken/ranks/cl100k_base').then(({ default: ranks }) =>
    createDecoder(ranks.bpe_ranks),
  );
  return loading;
}

/** Each line is `! <first id> <token in base64> <the next> …`. Tokens are decoded as they are needed. */
function createDecoder(ranks: string): TokenDecoder {
  const tokens: string[] = [];
  for (const line of ranks.split('\n')) {
    const [, offset, ...encoded] = line.split(' ');
    if (offset === undefined) continue;
    for (const [place, token] of encoded.entries()) tokens[Number(offset) + place] = token;
  }
  return {
    decode(ids) {
      const bytes: Buffer[] = [];
      for (const [place, id] of ids.entries()) {
        const token = tokens[id];
        if (token === undefined) return { unknown: place };
        bytes.push(Buffer.from(token, 'base64'));
      }
      return Buffer.concat(bytes).toString('utf8');
    },
  };
}
