import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import type { TenantId, UserId } from '#app/ids.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { Logger } from '#observability/logger.ts';
import type { AuditStore } from '#router/audit/audit-store.ts';
import type { PolicyDryRunner } from '#router/dry-run/policy-dry-run.ts';
import type { TenantExporter } from '#router/export/tenant-exporter.ts';
import type { InputGuardrails } from '#router/guardrails/create-guardrails.ts';
import type { OutputGuardrails } from '#router/guardrails/create-output-guardrails.ts';
import type { Accounting } from '#router/http/accounting.ts';
import type { ReadinessCheck } from '#router/http/readiness.ts';
import type { RefusedBodies } from '#router/http/refused-bodies.ts';
import type { IdempotencyStore } from '#router/idempotency/idempotency-store.ts';
import type { ApiKeyStore } from '#router/identity/api-key-store.ts';
import type { Authenticator } from '#router/identity/authenticator.ts';
import type { JudgeGuardrails } from '#router/judges/judged-guardrails.ts';
import type { PriceBook } from '#router/ledger/price-book.ts';
import type { UsageStore } from '#router/ledger/usage-store.ts';
import type { AnswerTokens } from '#router/limits/answer-tokens.ts';
import type { RateLimiter } from '#router/limits/rate-limiter.ts';
import type { InvitationStore } from '#router/members/invitation-store.ts';
import type { MemberStore } from '#router/members/member-store.ts';
import type { ContentThread } from '#router/policy/content-thread.ts';
import type { RequestLogStore } from '#router/request-log/request-log-store.ts';
import type { ResponseHistory } from '#router/responses/kept/history.ts';
import type { KeepNewResponse } from '#router/responses/kept/response-keeper.ts';
import type { ResponseStore } from '#router/responses/kept/response-store.ts';
import type { ConfigHistory } from '#router/tenants/config-history.ts';
import type { TenantEraser } from '#router/tenants/tenant-eraser.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

/** What the router needs of the settings. */
export type RouterSettings = Pick<
  Settings,
  | 'MAX_BODY_BYTES'
  | 'MAX_DOCUMENT_BYTES'
  | 'PRICE_PER_MILLION_PROMPT_TOKENS_USD'
  | 'PRICE_PER_MILLION_COMPLETION_TOKENS_USD'
  | 'BULKHEAD_DATA_DIR'
  | 'USAGE_LOG_DIR'
  | 'USAGE_LOG_MAX_BYTES'
  | 'USAGE_LOG_SYNC'
  | 'OPERATOR_KEY'
  | 'NODE_ENV'
  | 'CORS_ALLOWED_ORIGINS'
  | 'JWT_ISSUERS'
  | 'TRUSTED_PROXIES'
  | 'TRUST_TENANT_HEADER'
  | 'REDIS_URL'
  | 'REDIS_CLUSTER'
  | 'REDIS_TIMEOUT_MS'
  | 'GUARDRAIL_JUDGES'
> &
  // Absent: the defaults of the settings.
  Partial<
    Pick<Settings, 'ANSWER_TOKENS' | 'ANSWER_TOKENS_BY_MODEL' | 'CLIENT_STALL_TIMEOUT_MS' | 'RAG_CONNECTIONS'>
  > & {
    API_KEY_PEPPER: string;
  };

/** What the endpoints work with. */
export type RouterServices = Readonly<{
  orchestrator: OrchestratorService;
  rag: RagService;
  tenants: TenantStore;
  configHistory: ConfigHistory;
  eraser: TenantEraser;
  exporter: TenantExporter;
  apiKeys: ApiKeyStore;
  members: MemberStore;
  invitations: InvitationStore;
  /** Makes caches of this process forget what a change of members changes. */
  onMembersChanged: (tenantId: TenantId, revokedKeyIds: readonly string[]) => void;
  authenticator: Authenticator;
  limiter: RateLimiter;
  /** Held for an answer whose length its request does not bound. */
  answerTokens: AnswerTokens;
  guardrails: Readonly<{ input: InputGuardrails; output: OutputGuardrails }>;
  judges: JudgeGuardrails;
  content: ContentThread;
  usage: UsageStore;
  audit: AuditStore;
  requests: RequestLogStore;
  responses: ResponseStore;
  responseHistory: ResponseHistory;
  keepResponse: KeepNewResponse;
  /** Deletes what one user keeps of responses. */
  forgetResponses: (tenantId: TenantId, userId: UserId) => Promise<void>;
  dryRun: PolicyDryRunner;
  idempotency: IdempotencyStore;
  accounting: Accounting;
  readiness: ReadinessCheck;
  refusedBodies: RefusedBodies;
  prices: PriceBook;
  logger: Logger;
  now: () => number;
  monotonicNow: () => number;
  maxDocumentBytes: number;
  /** Uploads under way: each has a file on the local disk until it is stored. */
  uploads: FairSemaphore;
  /** Silence on a stream after which a comment is sent, milliseconds. */
  keepAliveMs: number;
}>;

export type RouterApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** One endpoint: it adds its route, and knows nothing of who may call it. */
export type Endpoint = (app: RouterApp, services: RouterServices) => void;
