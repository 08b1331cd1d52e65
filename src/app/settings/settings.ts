import { z } from 'zod';
import { addressRangeSchema } from '#app/schemas/address-range.ts';
import { judgeSettingsSchema } from '#app/schemas/guardrail-judge.ts';
import { trustedIssuerSchema } from '#app/schemas/trusted-issuer.ts';
import { observabilitySettings } from '#app/settings/observability-settings.ts';
import { commaList, flag, json, milliseconds } from '#app/settings/setting-types.ts';

/** As a browser sends it: scheme, host and port, and nothing behind them. */
const originSchema = z
  .string()
  .refine(
    (text) =>
      text === '*' ||
      (/^https?:\/\/[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text),
    'must be * or an origin such as https://chat.example.com, without a path',
  );

/**
 * Every setting, by the name of its environment variable. The description is what `docs/settings.md` says of
 * it; a test keeps the two equal. An empty variable counts as absent.
 */
export const settingsSchema = z.object({
  NODE_ENV: z
    .enum(['development', 'test', 'production'])
    .default('development')
    .describe('What the process is run for.'),
  HOST: z.string().default('127.0.0.1').describe('Address to listen on.'),
  PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8080)
    .describe('Port to listen on; 0 takes a free one.'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Least severe log line that is written.'),
  ...observabilitySettings,
  BULKHEAD_DATA_DIR: z
    .string()
    .default('.bulkhead')
    .describe('Directory of everything the embedded defaults keep: database, documents, index, keys.'),
  BULKHEAD_DEMO: flag
    .default(true)
    .describe('`off`: do not create the two demo tenants on the first start (`bulkhead up` only).'),
  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/ })
    .optional()
    .describe(
      'PostgreSQL to use instead of the embedded PGlite. Its login runs the migrations, unless MIGRATION_DATABASE_URL names another.',
    ),
  DATABASE_POOL_SIZE: z.coerce
    .number()
    .int()
    .min(1)
    .max(500)
    .default(10)
    .describe(
      'Transactions of one process at once, at most: connections to PostgreSQL, beside one for readiness checks and one that listens. One tenant alone may have four fifths of them.',
    ),
  DATABASE_STATEMENT_TIMEOUT_MS: milliseconds
    .default(15_000)
    .describe('Longest that one SQL statement may take, milliseconds. Migrations have no such limit.'),
  DATABASE_MIGRATE: z
    .enum(['auto', 'wait', 'off'])
    .default('auto')
    .describe(
      'On PostgreSQL: `auto`: a service brings the schema up to date when it starts. `wait`: `bulkhead migrate` does, and a service waits for it at most MIGRATION_WAIT_MS. `off`: as `wait`, but a service does not start on a schema that lacks something. See docs/operations/upgrade-and-rollback.md.',
    ),
  MIGRATION_DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/ })
    .optional()
    .describe(
      'PostgreSQL as the owner of the schema, for migrations alone: the login of DATABASE_URL then owns nothing. It must not lead through a pooler that shares sessions. Default: DATABASE_URL.',
    ),
  MIGRATION_LOCK_TIMEOUT_MS: milliseconds
    .max(60_000)
    .default(2_000)
    .describe(
      'Longest that one try of a migration waits for a lock, milliseconds: requests for the same table wait behind it. Then it lets them pass and tries again.',
    ),
  MIGRATION_WAIT_MS: milliseconds
    .default(600_000)
    .describe(
      'Longest that a migration is tried again for its lock, that another process which migrates is waited for, and that a service waits for `bulkhead migrate`, milliseconds.',
    ),
  API_KEY_PEPPER: z
    .string()
    .min(32)
    .optional()
    .describe('Secret with which API keys are hashed (HMAC-SHA256). Embedded default: made on first start.'),
  CACHE_SALT_SECRET: z
    .string()
    .min(32)
    .optional()
    .describe(
      'Secret from which each tenant’s `cache_salt` is derived. Embedded default: made on first start.',
    ),
  INTERNAL_TOKEN_PRIVATE_KEY: z
    .string()
    .optional()
    .describe('Ed25519 private key, PKCS #8 PEM, that signs internal tokens. The router alone has it.'),
  INTERNAL_TOKEN_PUBLIC_KEY: z
    .string()
    .optional()
    .describe(
      'Ed25519 public key, SPKI PEM, that verifies internal tokens. Orchestrator and RAG service have it.',
    ),
  OPERATOR_KEY: z
    .string()
    .regex(/^bk_[0-9a-z]{26}_[A-Za-z0-9_-]{43}$/)
    .optional()
    .describe('API key of the operator, `bk_<id>_<secret>`. Embedded default: made on first start.'),
  JWT_ISSUERS: json('[]')
    .pipe(z.array(trustedIssuerSchema).max(100))
    .describe(
      'JWT issuers of the deployment, a JSON list of `{issuer, audience, jwks_url, algorithms?, tenant_id?, tenant_claim?, user_claim?, roles_claim?}`. A tenant’s config can add issuers that speak for that tenant alone.',
    ),
  CORS_ALLOWED_ORIGINS: commaList
    .pipe(z.array(originSchema).max(100))
    .describe(
      'Origins whose pages may call the router from a browser, with commas between: `https://chat.example.com`; `*`: all. Absent: none.',
    ),
  TRUSTED_PROXIES: commaList
    .pipe(z.array(addressRangeSchema).max(100))
    .describe(
      'Addresses of the proxies in front, as ranges with commas between: `10.0.0.0/8,2001:db8::/32`. From them alone `X-Forwarded-For` is believed.',
    ),
  TRUST_TENANT_HEADER: flag
    .default(false)
    .describe(
      '`on`: a request without a credential is of the tenant in `X-Tenant-Id` and the user in `X-User-Id`, if its connection comes from TRUSTED_PROXIES, which must then hold only proxies that authenticate and set both headers themselves.',
    ),
  REDIS_URL: z
    .url({ protocol: /^rediss?$/ })
    .optional()
    .describe('Redis or Valkey in which routers share limits. Absent: limits are exact within one router.'),
  REDIS_CLUSTER: flag.default(false).describe('`on`: REDIS_URL is a node of a cluster.'),
  REDIS_TIMEOUT_MS: milliseconds
    .min(10)
    .max(60_000)
    .default(50)
    .describe(
      'Longest that a decision about limits waits for a Redis that says nothing, milliseconds. Then the policy of the tenant decides: to deny, or to fall to each router’s share of the limit.',
    ),
  ORCHESTRATOR_URL: z.url().optional().describe('Where the router finds the orchestrator.'),
  RAG_SERVICE_URL: z.url().optional().describe('Where the router and the orchestrator find the RAG service.'),
  ORCHESTRATOR_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(4_096)
    .describe(
      'Turns that a router has under way at the orchestrator at once, at most: each has a connection of its own. One tenant alone may have four fifths of them. See docs/capacity.md.',
    ),
  RAG_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(256)
    .describe(
      'Uploads that a router takes at once, at most, and calls that carry documents to or from the RAG service. One tenant alone may have four fifths of them.',
    ),
  SERVICE_CALL_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(128)
    .describe(
      'Other calls that a process has under way at another service at once, at most, apart for each service: retrieval, embeddings, lists, conversations.',
    ),
  INFERENCE_BASE_URL: z
    .url()
    .optional()
    .describe('OpenAI-compatible server, up to and with its `/v1`. Absent: the extractive engine answers.'),
  INFERENCE_MODEL: z
    .string()
    .optional()
    .describe('Model for the routes `chat` and `rag`. Needed with INFERENCE_BASE_URL.'),
  INFERENCE_CONTEXT_TOKENS: z.coerce
    .number()
    .int()
    .min(1_024)
    .max(10_000_000)
    .default(8_192)
    .describe('Tokens of prompt and answer together that INFERENCE_MODEL takes: prompts are kept within it.'),
  INFERENCE_API_KEY: z.string().optional().describe('Bearer token for INFERENCE_BASE_URL.'),
  INFERENCE_CACHE_SALT: flag
    .default(true)
    .describe(
      '`off`: do not send `cache_salt` and `continuous_usage_stats`, for servers that refuse unknown fields.',
    ),
  INFERENCE_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(4_096)
    .describe(
      'Answers that are streamed from the engine at once, at most: each has a connection of its own. One tenant alone may have four fifths of them.',
    ),
  INFERENCE_CONNECT_TIMEOUT_MS: milliseconds
    .default(5_000)
    .describe('Longest wait for a connection to the engine.'),
  INFERENCE_FIRST_TOKEN_TIMEOUT_MS: milliseconds
    .default(120_000)
    .describe('Longest wait for the first byte of an answer, milliseconds.'),
  INFERENCE_IDLE_TIMEOUT_MS: milliseconds
    .default(60_000)
    .describe('Longest silence within an answer, milliseconds.'),
  INFERENCE_MAX_ATTEMPTS: z.coerce
    .number()
    .int()
    .min(1)
    .max(10)
    .default(3)
    .describe('Tries of an engine call, all before the first token.'),
  ANSWER_TOKENS: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000_000)
    .default(4_096)
    .describe(
      'Longest answer of an engine model, tokens, where the request names no length and the tenant has a budget or a limit of tokens: so much is held while it runs, and the engine is given it as `max_tokens`. Without either, the engine decides.',
    ),
  ANSWER_TOKENS_BY_MODEL: json('{}')
    .pipe(z.record(z.string(), z.int().min(1).max(10_000_000)))
    .describe('ANSWER_TOKENS of single models, a JSON object: `{"long-model": 32768}`.'),
  MAX_ANSWER_BYTES: z.coerce
    .number()
    .int()
    .min(65_536)
    .max(1_073_741_824)
    .default(8_388_608)
    .describe(
      'Longest answer that is taken from an engine, bytes of text, calls and log probabilities: then the engine is cut off, and the answer ends with the `finish_reason` `length`.',
    ),
  CLIENT_STALL_TIMEOUT_MS: milliseconds
    .min(1_000)
    .default(45_000)
    .describe(
      'Longest that the router keeps an answer, a stream, a file or an archive for a client that takes nothing of it, milliseconds: then its connection is closed, and what it held is free.',
    ),
  GUARDRAIL_JUDGES: json('[]')
    .pipe(judgeSettingsSchema)
    .describe(
      'External judges that tenants may pick by name, a JSON list of `{kind: "llama_guard", name, base_url, model, api_key?}` and `{kind: "bedrock", name, region, guardrail_id, guardrail_version, endpoint?}`, each with `tenants?`, `timeout_ms?`, `concurrency?`, `total_concurrency?` and `max_characters?`. See docs/guardrails.md.',
    ),
  PRICE_PER_MILLION_PROMPT_TOKENS_USD: z.coerce
    .number()
    .nonnegative()
    .default(0)
    .describe('Price of a million prompt tokens, for `cost_usd_estimate`.'),
  PRICE_PER_MILLION_COMPLETION_TOKENS_USD: z.coerce
    .number()
    .nonnegative()
    .default(0)
    .describe('Price of a million completion tokens, for `cost_usd_estimate`.'),
  USAGE_LOG_DIR: z
    .string()
    .optional()
    .describe(
      'Directory on a local disk in which the router keeps usage until the database has it. Default: `usage-log` in BULKHEAD_DATA_DIR.',
    ),
  USAGE_LOG_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(1_048_576)
    .default(1_073_741_824)
    .describe('Largest size of USAGE_LOG_DIR, bytes: when it is reached, new turns are refused.'),
  USAGE_LOG_SYNC: z
    .enum(['background', 'each'])
    .default('background')
    .describe(
      '`background`: usage is on the disk within 200 ms, and survives a killed process at once. `each`: every turn waits for the disk, so that usage survives a lost machine as well.',
    ),
  MAX_BODY_BYTES: z.coerce.number().int().positive().default(4_194_304).describe('Largest JSON body, bytes.'),
  MAX_DOCUMENT_BYTES: z.coerce
    .number()
    .int()
    .positive()
    .default(16_777_216)
    .describe('Largest document, bytes.'),
  TENANT_MAX_STORED_BYTES: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(10_737_418_240)
    .describe(
      'Bytes of documents that a tenant may store, unless its policy says otherwise (`storage.max_bytes`).',
    ),
  TENANT_MAX_DOCUMENTS: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(100_000)
    .describe(
      'Documents that a tenant may store, unless its policy says otherwise (`storage.max_documents`).',
    ),
  INGEST_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe(
      'Documents of one tenant that are indexed at once, in each of four lanes: up to 16 KiB, 256 KiB, 4 MiB and larger. All tenants together have 8, 4, 4 and 2 places in them, or this many where it is more. Also the number of parser processes for files that take long; one more reads the rest.',
    ),
  VAULT_SEARCHES: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_024)
    .default(8)
    .describe(
      'Searches of the index at once in one RAG service. One tenant alone may have four fifths of them.',
    ),
  PARSER_TIMEOUT_MS: milliseconds
    .default(60_000)
    .describe('Longest that reading one document may take, milliseconds.'),
  PARSER_MEMORY_MB: z.coerce
    .number()
    .int()
    .min(64)
    .max(8_192)
    .default(512)
    .describe('Memory of one parser, MiB.'),
  DRAIN_DELAY_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(600_000)
    .optional()
    .describe(
      'How long a process that was told to stop goes on serving while its `/readyz` says 503 and its answers say `Connection: close`, milliseconds: longer than balancers take to notice. Default: 5,000; 0 for `bulkhead up`.',
    ),
  DRAIN_TIMEOUT_MS: milliseconds
    .default(30_000)
    .describe(
      'Longest that a stopping process then waits for requests under way, milliseconds. Those that are left get an error of their own.',
    ),
});

export type Settings = Readonly<z.infer<typeof settingsSchema>>;
