import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';

export const judgeNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be a-z, 0-9 and dashes');

const common = {
  /** What tenants call it. */
  name: judgeNameSchema,
  /** Tenants that may use it; absent: every one. */
  tenants: z.array(tenantIdSchema).max(10_000).optional(),
  /** Longest that one call may take, the wait for a place included. */
  timeout_ms: z.int().min(50).max(60_000).default(5_000),
  /** Calls for one tenant at once; the next wait. */
  concurrency: z.int().min(1).max(256).default(8),
  /** Calls for all tenants at once, admitted fairly by tenant. */
  total_concurrency: z.int().min(1).max(4_096).default(256),
  /** Longest text of one call; a longer one takes several. */
  max_characters: z.int().min(500).max(100_000).default(8_000),
};

/** An external judge of the deployment: the operator says where it is, tenants pick it by name. */
export const judgeSettingSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('llama_guard'),
    ...common,
    /** OpenAI-compatible server, up to and with its `/v1`. */
    base_url: z.url({ protocol: /^https?$/ }),
    model: z.string().min(1).max(300),
    api_key: z.string().min(1).optional(),
  }),
  z.strictObject({
    kind: z.literal('bedrock'),
    ...common,
    region: z.string().regex(/^[a-z]{2}(?:-[a-z]+)+-\d$/),
    guardrail_id: z
      .string()
      .regex(/^(?:[a-z0-9]+|arn:aws(?:-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail\/[a-z0-9]+)$/),
    guardrail_version: z.string().regex(/^(?:[1-9][0-9]{0,7}|DRAFT)$/),
    /** Where the API is, such as a VPC endpoint. Absent: the region’s public endpoint. */
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
  }),
]);
export type JudgeSetting = z.infer<typeof judgeSettingSchema>;

export const judgeSettingsSchema = z
  .array(judgeSettingSchema)
  .max(50)
  .refine((judges) => new Set(judges.map(({ name }) => name)).size === judges.length, 'names must differ');

/** What a tenant wants of a judge. It names one of the operator’s: never an address. */
export const judgePolicySchema = z.strictObject({
  judge: judgeNameSchema,
  /** Which way: what callers send, what they are answered, or both. */
  applies_to: z.enum(['input', 'output', 'both']).default('both'),
  /** `flag` records what is found and lets it pass. */
  action: z.enum(['refuse', 'flag']).default('refuse'),
  /** Findings that count, such as `S1` or `content:HATE`; null: all. */
  categories: z
    .array(z.string().regex(/^[A-Za-z0-9][\w :-]{0,79}$/))
    .min(1)
    .max(50)
    .nullable()
    .default(null),
  /** What happens where the judge fails or is late. `allow` lets through what nobody looked at. */
  on_error: z.enum(['deny', 'allow']).default('deny'),
});
export type JudgePolicy = z.infer<typeof judgePolicySchema>;

/** Judges are asked one after another: each adds its time to a turn. */
export const MAX_JUDGES = 4;
