import { z } from 'zod';
import { requestIdSchema, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { pageOf } from '#app/schemas/page.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';
import { usageOutcomeSchema } from '#app/schemas/usage.ts';

const milliseconds = z.number().nonnegative();

/** Why a request ended as it did. No text of a message is in it. */
export const requestDecisionSchema = z.object({
  method: z.string(),
  /** The route's pattern, not the URL. */
  path: z.string(),
  auth: z.object({
    /** `header`: a trusted proxy's word, in the mode in which it counts. */
    method: z.enum(['api_key', 'jwt', 'header']),
    key_id: z.string().nullable(),
    issuer: z.string().nullable(),
    role: z.string(),
  }),
  policy: z.object({
    config_version: z.int().positive(),
    verdict: z.enum(['allowed', 'refused']),
    /** The rule that refused, as a path into the config: `sensitive_patterns.3`. */
    rule: z.string().nullable(),
    /** The field of the request at fault. */
    param: z.string().nullable(),
    /** Patterns that matched and only flag. */
    flags: z.array(z.string()),
    /** The model that the request names; null: the platform's choice. */
    model: z.string().nullable().default(null),
    /** Names of tools that the request defines or calls. */
    tools: z.array(z.string()),
    /** False where there were more tools than are kept. */
    tools_complete: z.boolean(),
  }),
  /** null: the limits were not reached. */
  limits: z
    .object({
      admitted: z.boolean(),
      /** The limit that denied; null where it was admitted: then the figures are those of the tightest. */
      scope: z.string().nullable(),
      name: z.string().nullable(),
      limit: z.number().nullable(),
      current: z.number().nullable(),
      remaining: z.number().nullable(),
      tokens_reserved: z.number().nonnegative(),
    })
    .nullable(),
  /** null: nothing was searched. */
  retrieval: z
    .object({
      chunks: z.array(z.object({ chunk_id: z.string(), score: z.number() })),
      latency_ms: milliseconds.nullable(),
    })
    .nullable(),
  /** null: no engine was asked. */
  engine: z
    .object({
      name: z.string(),
      model: z.string().nullable(),
      /** How often the engine was asked: above 1 where it failed first; null where it was not, or does not say. */
      attempts: z.int().positive().nullable(),
      first_token_ms: milliseconds.nullable(),
      finish_reason: z.string().nullable(),
    })
    .nullable(),
  token_usage: tokenUsageSchema,
  /** Of prompts that the engine was given and did not count. */
  estimated_prompt_tokens: z.int().nonnegative().default(0),
  /** Milliseconds of each stage; null for those that were not reached. */
  timings: z.object({
    auth_ms: milliseconds.nullable(),
    limits_ms: milliseconds.nullable(),
    policy_ms: milliseconds.nullable(),
    retrieve_ms: milliseconds.nullable(),
    generate_ms: milliseconds.nullable(),
    total_ms: milliseconds,
  }),
  /** null: tracing was off. The timeline holds the spans of the router's process, in the order in which they began. */
  trace: z
    .object({
      trace_id: z.string(),
      timeline: z.array(
        z.object({
          name: z.string(),
          start_ms: milliseconds,
          duration_ms: milliseconds,
          error: z.string().optional(),
        }),
      ),
    })
    .nullable()
    .default(null),
  /** The code of the error that was answered. */
  error_code: z.string().nullable(),
});
export type RequestDecision = z.infer<typeof requestDecisionSchema>;

/** What was asked and answered, without what is recognised as a secret or as personal data. */
export const requestBodiesSchema = z.object({
  texts: z.array(z.object({ param: z.string(), text: z.string() })),
  answer: z.string().nullable(),
  /** False where a text was cut or redacted: then nothing follows from what is not in it. */
  complete: z.boolean(),
});
export type RequestBodies = z.infer<typeof requestBodiesSchema>;

/** One request in the request log. */
export const requestLogEntrySchema = z.object({
  request_id: requestIdSchema,
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  /** When it began. */
  created_at: z.string(),
  route: z.string(),
  model: z.string().nullable(),
  status: z.int(),
  outcome: usageOutcomeSchema,
  refusal_reason: z.string().nullable(),
  latency_ms: milliseconds,
  decision: requestDecisionSchema,
});
export type RequestLogEntry = z.infer<typeof requestLogEntrySchema>;

export const requestLogPageSchema = pageOf(requestLogEntrySchema);

/** One request by its id; `bodies` is null where the tenant keeps none. */
export const requestLogDetailSchema = requestLogEntrySchema.extend({
  bodies: requestBodiesSchema.nullable(),
});
export type RequestLogDetail = z.infer<typeof requestLogDetailSchema>;
