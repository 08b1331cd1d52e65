import { z } from 'zod';
import { parseEntries } from '#app/parse-entries.ts';
import type { TokenLogprob } from '#router/responses/response-schema.ts';

const tokenSchema = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int()).nullish().catch(null),
});
const entriesOf = z.array(z.unknown()).catch([]);
const logprobsSchema = z.object({ content: z.array(z.unknown()) });

/** The log probabilities of a chat's choice as this API has them; none where the engine tells none. */
export function tokenLogprobs(logprobs: unknown): TokenLogprob[] {
  const entries = logprobsSchema.safeParse(logprobs).data?.content ?? [];
  return parseEntries(tokenSchema.extend({ top_logprobs: entriesOf }), entries).map((token) => ({
    ...withBytes(token),
    top_logprobs: parseEntries(tokenSchema, token.top_logprobs).map(withBytes),
  }));
}

/** Chat may leave the bytes out; here they are always told. */
const withBytes = ({ token, logprob, bytes }: z.infer<typeof tokenSchema>) => ({
  token,
  logprob,
  bytes: bytes ?? [...Buffer.from(token)],
});
