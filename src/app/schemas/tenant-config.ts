import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { guardrailsPatchSchema, guardrailsSchema } from '#app/schemas/guardrails.ts';
import { tenantRateLimitPatchSchema, tenantRateLimitSchema } from '#app/schemas/tenant-rate-limit.ts';
import { storageLimitsPatchSchema, storageLimitsSchema } from '#app/schemas/tenant-storage.ts';

/** Everything under `/v1` that a tenant may or may not use. */
export const ALLOWED_ROUTES = ['chat', 'rag', 'direct', 'vault', 'search', 'conversations', 'usage'] as const;
export const allowedRouteSchema = z.enum(ALLOWED_ROUTES);
export type AllowedRoute = z.infer<typeof allowedRouteSchema>;

/** Bounds that keep one tenant's patterns from costing another tenant time. */
export const MAX_PATTERNS = 200;
export const MAX_PATTERN_CHARACTERS = 500;
const MAX_LOG_DAYS = 400;
const MAX_RESPONSE_DAYS = 400;

const patternTextSchema = z.string().min(1).max(MAX_PATTERN_CHARACTERS);

/** A pattern that text must not match, in RE2 syntax (no lookaround, no backreferences). */
export const sensitivePatternSchema = z.strictObject({
  name: z.string().min(1).max(100),
  pattern: patternTextSchema,
  /** `refuse` stops the turn; `redact` replaces the match; `flag` records it and lets it pass. */
  action: z.enum(['refuse', 'redact', 'flag']).default('refuse'),
  /** Which way: what callers send, what they are answered, or both. */
  applies_to: z.enum(['input', 'output', 'both']).default('input'),
  case_sensitive: z.boolean().default(false),
});

/** A subject the tenant does not answer: any of its phrases, as words, in the input. */
export const refusalRuleSchema = z.strictObject({
  name: z.string().min(1).max(100),
  phrases: z.array(z.string().min(1).max(200)).min(1).max(100),
  /** What the caller is told. */
  message: z.string().min(1).max(500).default('This subject is not answered here.'),
});

export const tenantIssuerSchema = z.strictObject({
  issuer: z.url(),
  audience: z.string().min(1),
  jwks_url: z.url(),
});

/** What each part of a policy is, for the API's readers. */
const ABOUT: Readonly<Record<string, string>> = {
  display_name: 'What people call the tenant.',
  enabled: '`false`: whatever the tenant asks is refused.',
  allowed_routes: 'What of `/v1` the tenant may use.',
  blocked_tools: 'Tools that no request may define, choose or carry a call of.',
  sensitive_patterns:
    'Patterns, in RE2 syntax, that are refused, redacted or flagged in what is sent or answered.',
  refusal_rules: 'Subjects that are not answered: a request that holds one of the phrases is refused.',
  rate_limits:
    'Requests a minute and an hour, tokens a minute, concurrent requests; of the tenant, each user and each key.',
  budget_usd_per_month: 'The most that may be spent in a calendar month (UTC); null: no budget.',
  storage:
    'The most that the tenant’s users may store together: bytes of original files, and documents (null: the default of the deployment), and bytes of kept responses, of which the oldest go.',
  models: 'Models of the engine that may be asked by name; null: all of them.',
  weight: 'Share of the fleet under contention, relative to other tenants.',
  rag: 'How passages are found: how many, whether they are reranked, and how different from one another.',
  pii: 'Personal data of the usual kinds, both ways; `guardrails.pii` says more by kind.',
  guardrails: 'What the built-in detectors and judges look for, and what is done about it.',
  retention_days: 'Conversations and usage older than this are deleted; null: kept.',
  identity: 'Whose tokens are taken for users of the tenant, and whether all of them are members.',
  responses: 'Whether `/v1/responses` keeps what it answers, and for how long.',
  request_log: 'What is kept of each request, and for how long.',
};

function described<Shape extends z.ZodRawShape>(shape: Shape): Shape {
  const fields = Object.entries(shape).map(([name, field]) => {
    const about = ABOUT[name];
    return [name, about === undefined || !(field instanceof z.ZodType) ? field : field.describe(about)];
  });
  // The same fields, each of the same type.
  return Object.fromEntries(fields) as Shape;
}

/** The policy of one tenant, as it is stored, versioned and edited. Unknown fields are refused. */
export const tenantConfigSchema = z.strictObject(
  described({
    tenant_id: tenantIdSchema,
    display_name: z.string().min(1).max(200),
    enabled: z.boolean().default(true),
    allowed_routes: z.array(allowedRouteSchema).default([...ALLOWED_ROUTES]),
    blocked_tools: z.array(z.string().min(1).max(128)).max(500).default([]),
    sensitive_patterns: z.array(sensitivePatternSchema).max(MAX_PATTERNS).default([]),
    refusal_rules: z.array(refusalRuleSchema).max(MAX_PATTERNS).default([]),
    rate_limits: tenantRateLimitSchema.prefault({}),
    budget_usd_per_month: z.number().nonnegative().nullable().default(null),
    storage: storageLimitsSchema.prefault({}),
    models: z.array(z.string().min(1).max(200)).max(500).nullable().default(null),
    weight: z.number().positive().max(1_000).default(1),
    rag: z
      .strictObject({
        top_k: z.int().min(1).max(50).default(6),
        rerank: z.boolean().default(false),
        /** 0: relevance alone. 1: as different from one another as possible. */
        diversity: z.number().min(0).max(1).default(0.3),
      })
      .prefault({}),
    pii: z.enum(['allow', 'redact', 'refuse']).default('allow'),
    guardrails: guardrailsSchema.prefault({}),
    retention_days: z.int().positive().max(36_500).nullable().default(null),
    identity: z
      .strictObject({
        issuers: z.array(tenantIssuerSchema).max(20).default([]),
        /** `open`: every user that a trusted issuer names. `listed`: of those, the tenant's members alone. */
        members: z.enum(['open', 'listed']).default('open'),
      })
      .prefault({}),
    request_log: z
      .strictObject({
        /** `redacted`: what is asked and answered is kept, without recognised secrets and personal data. */
        bodies: z.enum(['off', 'redacted']).default('off'),
        /** Rows older than this are deleted. */
        retention_days: z.int().positive().max(MAX_LOG_DAYS).default(30),
      })
      .prefault({}),
    responses: z
      .strictObject({
        /** `false`: nothing is kept, whatever a request asks for, and what is kept already is deleted. */
        store: z.boolean().default(true),
        /** Older ones are deleted; the tenant's own `retention_days`, where it is shorter, holds too. */
        retention_days: z.int().positive().max(MAX_RESPONSE_DAYS).default(30),
      })
      .prefault({}),
  }),
);
export type TenantConfig = z.infer<typeof tenantConfigSchema>;

/** What an operator may send to change a tenant: any part of the config but the id. */
export const tenantConfigPatchSchema = z
  .strictObject(
    described({
      display_name: z.string().min(1).max(200),
      enabled: z.boolean(),
      allowed_routes: z.array(allowedRouteSchema),
      blocked_tools: z.array(z.string().min(1).max(128)).max(500),
      sensitive_patterns: z.array(sensitivePatternSchema).max(MAX_PATTERNS),
      refusal_rules: z.array(refusalRuleSchema).max(MAX_PATTERNS),
      rate_limits: tenantRateLimitPatchSchema,
      budget_usd_per_month: z.number().nonnegative().nullable(),
      storage: storageLimitsPatchSchema,
      models: z.array(z.string().min(1).max(200)).max(500).nullable(),
      weight: z.number().positive().max(1_000),
      rag: z
        .strictObject({
          top_k: z.int().min(1).max(50),
          rerank: z.boolean(),
          diversity: z.number().min(0).max(1),
        })
        .partial(),
      pii: z.enum(['allow', 'redact', 'refuse']),
      guardrails: guardrailsPatchSchema,
      retention_days: z.int().positive().max(36_500).nullable(),
      identity: z
        .strictObject({ issuers: z.array(tenantIssuerSchema).max(20), members: z.enum(['open', 'listed']) })
        .partial(),
      request_log: z
        .strictObject({
          bodies: z.enum(['off', 'redacted']),
          retention_days: z.int().positive().max(MAX_LOG_DAYS),
        })
        .partial(),
      responses: z
        .strictObject({
          store: z.boolean(),
          retention_days: z.int().positive().max(MAX_RESPONSE_DAYS),
        })
        .partial(),
    }),
  )
  .partial();
export type TenantConfigPatch = z.infer<typeof tenantConfigPatchSchema>;

/** The part of the policy that travels with a turn, so that services behind the router need no second look-up. */
export const turnPolicySchema = z.object({
  blocked_tools: z.array(z.string()),
  rag: z.object({ top_k: z.int().min(1).max(50), rerank: z.boolean(), diversity: z.number().min(0).max(1) }),
});
export type TurnPolicy = z.infer<typeof turnPolicySchema>;
