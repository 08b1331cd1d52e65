import { z } from 'zod';
import type { TokenLogprob } from '#router/responses/response-schema.ts';

const tokenSchema = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int()).nullish().catch(null),
});
const logprobsSchema = z.object({
  content: z.array(tokenSchema.extend({ top_logprobs: z.array(tokenSchema).catch([]) })),
});

/** The log probabilities of a chat's choice as this API has them; none where the engine tells none. */
export function tokenLogprobs(logprobs: unknown): TokenLogprob[] {
  const known = logprobsSchema.safeParse(logprobs).data?.content ?? [];
  return known.map((token) => ({ ...withBytes(token), top_logprobs: token.top_logprobs.map(withBytes) }));
}

/** Chat may leave the bytes out; here they are always told. */
const withBytes = ({ token, logprob, bytes }: z.infer<typeof tokenSchema>) => ({
  token,
  logprob,
  bytes: bytes ?? [...Buffer.from(token)],
});
