import { join } from 'node:path';
import Fastify from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { createAddressRanges } from '#app/addresses.ts';
import type { Database } from '#app/database/database.ts';
import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import { createDrain, type Drain } from '#app/http/drain.ts';
import { toBulkheadError } from '#app/http/to-bulkhead-error.ts';
import { newRequestId } from '#app/ids.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { LiveSettings } from '#app/settings/live-settings.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import type { Tracing } from '#app/trace.ts';
import type { Logger } from '#observability/logger.ts';
import { createLogMetrics, type MetricsExporter, type RequestMetrics } from '#observability/metrics.ts';
import { watchDependencies } from '#observability/watch-dependencies.ts';
import { addDenialAudit } from '#router/audit/add-denial-audit.ts';
import { createAuditStore } from '#router/audit/audit-store.ts';
import { createDenialRecorder } from '#router/audit/denial-recorder.ts';
import { createPolicyDryRunner } from '#router/dry-run/policy-dry-run.ts';
import { createTenantExporter } from '#router/export/tenant-exporter.ts';
import { createInputGuardrails } from '#router/guardrails/create-guardrails.ts';
import { createOutputGuardrails } from '#router/guardrails/create-output-guardrails.ts';
import { type GuardrailModels, loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { createAccounting } from '#router/http/accounting.ts';
import { addBodyParsers } from '#router/http/body-parsers.ts';
import { answerClientError } from '#router/http/client-error.ts';
import { addCrossOrigin } from '#router/http/cross-origin.ts';
import { type AnsweredError, addErrorHandler, sendError } from '#router/http/error-handler.ts';
import { addLifecycle } from '#router/http/lifecycle.ts';
import { trackMethods } from '#router/http/method-not-allowed.ts';
import { addOpenApi } from '#router/http/openapi/add-openapi.ts';
import { createReadinessCheck } from '#router/http/readiness.ts';
import { RefusedBodies } from '#router/http/refused-bodies.ts';
import { KEEP_ALIVE_MS } from '#router/http/sse-writer.ts';
import { validatorCompiler } from '#router/http/validation.ts';
import { DEFAULT_STALL_MS } from '#router/http/watch-reader.ts';
import { createIdempotencyStore } from '#router/idempotency/idempotency-store.ts';
import { createSealedAnswers } from '#router/idempotency/sealed-answers.ts';
import { createApiKeyStore } from '#router/identity/api-key-store.ts';
import { createApiKeyVerifier } from '#router/identity/api-key-verifier.ts';
import { createAuthenticator } from '#router/identity/authenticator.ts';
import { followOperatorKey } from '#router/identity/follow-operator-key.ts';
import { checkIssuers } from '#router/identity/jwt/check-issuers.ts';
import { createPublicFetch } from '#router/identity/jwt/guarded-fetch.ts';
import { createJwtVerifier } from '#router/identity/jwt/jwt-verifier.ts';
import { createTrustedIssuers } from '#router/identity/jwt/trusted-issuers.ts';
import { createLastUsed } from '#router/identity/last-used.ts';
import { createStrangerLane } from '#router/identity/stranger-lane.ts';
import { createJudges } from '#router/judges/create-judges.ts';
import { createJudgeGuardrails } from '#router/judges/judged-guardrails.ts';
import { createBudgets } from '#router/ledger/budgets.ts';
import { priceFromSettings } from '#router/ledger/price.ts';
import { createPriceBook } from '#router/ledger/price-book.ts';
import { createUsageLedger } from '#router/ledger/usage-ledger.ts';
import { createUsageStore } from '#router/ledger/usage-store.ts';
import { createUsageUpkeep } from '#router/ledger/usage-upkeep.ts';
import { createAnswerTokens } from '#router/limits/answer-tokens.ts';
import { createRateLimiter } from '#router/limits/create-rate-limiter.ts';
import type { RateLimiter } from '#router/limits/rate-limiter.ts';
import { createInvitationStore } from '#router/members/invitation-store.ts';
import { createMemberStore } from '#router/members/member-store.ts';
import { createMembershipCache } from '#router/members/membership-cache.ts';
import { createContentThread } from '#router/policy/content-thread.ts';
import { createRequestLogExpiry } from '#router/request-log/expire-requests.ts';
import { createRedactText } from '#router/request-log/redact-text.ts';
import { createRequestLog } from '#router/request-log/request-log.ts';
import { createRequestLogStore } from '#router/request-log/request-log-store.ts';
import { createResponseExpiry, forgetResponsesOf } from '#router/responses/kept/expire-responses.ts';
import { createResponseHistory } from '#router/responses/kept/history.ts';
import { createResponseBounds } from '#router/responses/kept/response-bounds.ts';
import { createResponseKeeper } from '#router/responses/kept/response-keeper.ts';
import { createResponseStore } from '#router/responses/kept/response-store.ts';
import type { RouterApp, RouterServices, RouterSettings } from '#router/router-services.ts';
import { addRoutes } from '#router/routes/index.ts';
import { createConfigHistory } from '#router/tenants/config-history.ts';
import { createConversationExpiry } from '#router/tenants/expire-conversations.ts';
import { createPolicyCache } from '#router/tenants/policy-cache.ts';
import { createTenantEraser } from '#router/tenants/tenant-eraser.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { watchChanges } from '#router/tenants/watch-changes.ts';

export type RouterAppOptions = {
  database: Database;
  orchestrator: OrchestratorService;
  rag: RagService;
  settings: RouterSettings;
  /** What may change of them while the process runs: logins, keys of servers, the operator's key. */
  live?: LiveSettings;
  /** Absent: no traces. */
  tracing?: Tracing;
  logger: Logger;
  /** Default: one log line a request. */
  metrics?: RequestMetrics;
  /** Where the figures of requests go beside their log lines. */
  metricsExporter?: MetricsExporter;
  /** Default: over the models that come with the repository. */
  guardrails?: RouterServices['guardrails'];
  /** Default: what the settings ask for. The caller closes its own. */
  limiter?: RateLimiter;
  /** Default: one of its own, which begins when the app closes. */
  drain?: Drain;
  /** Wall clock and monotonic clock, milliseconds. */
  now?: () => number;
  monotonicNow?: () => number;
  keepAliveMs?: number;
  /** Told of every route that is added, hidden ones as well: so that a test can ask them all. */
  onRoute?: (route: { method: string | string[]; url: string }) => void;
  /** Told of every error that a route answers with: so that a test can hold the document of the API to it. */
  onError?: (error: AnsweredError) => void;
};

/** Longer than a load balancer keeps idle connections, so that it is never we who close one that it still uses. */
const KEEP_ALIVE_TIMEOUT_MS = 310_000;
/** Longest that a client may take to send its whole request. */
const REQUEST_TIMEOUT_MS = 300_000;
const DATABASE_CHECK_MS = 2_000;
const LEDGER_CLOSE_MS = 10_000;
/** How long a report of usage waits for the newest rows. */
const USAGE_FLUSH_MS = 2_000;
const DEFAULT_UPLOADS = 256;
const MAX_WAITING_UPLOADS = 1_024;
const UPLOAD_WAIT_MS = 10_000;
const AUDIT_CLOSE_MS = 5_000;
const LOG_CLOSE_MS = 5_000;
/** As long as a URL can be at all (Node bounds the headers): an id that is too long is an id that is missing. */
const MAX_PARAMETER_CHARACTERS = 16_384;

/** The router, not listening. `close()` drains: readiness turns false, streams finish, usage rows are written. */
export async function buildRouterApp(options: RouterAppOptions): Promise<RouterApp> {
  const { database, orchestrator, rag, settings, live, logger } = options;
  const now = options.now ?? Date.now;
  const monotonicNow = options.monotonicNow ?? (() => performance.now());
  const { drain = createDrain() } = options;
  let closesConnections = false;

  const app: RouterApp = Fastify({
    logger: false,
    bodyLimit: settings.MAX_BODY_BYTES,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    genReqId: () => newRequestId(),
    routerOptions: { maxParamLength: MAX_PARAMETER_CHARACTERS },
    frameworkErrors: (error, request, reply) => {
      reply.header('x-request-id', request.id);
      sendError(request, reply, toBulkheadError(error));
    },
    clientErrorHandler: answerClientError,
  }).withTypeProvider<ZodTypeProvider>();

  const { onRoute } = options;
  if (onRoute !== undefined) app.addHook('onRoute', ({ method, url }) => onRoute({ method, url }));

  // On a laptop, an issuer of one's own may be on the same machine.
  const isStrict = settings.NODE_ENV === 'production';
  const publicFetch = createPublicFetch();
  const judges = createJudges({
    settings,
    ...(live && { current: () => live.current().GUARDRAIL_JUDGES }),
    monotonicNow,
  });
  const tenants = createTenantStore({
    database,
    checkConfig(config) {
      if (isStrict) checkIssuers(config);
      judges.checkConfig(config);
    },
  });
  const apiKeys = createApiKeyStore({ database, pepper: settings.API_KEY_PEPPER });
  if (settings.OPERATOR_KEY !== undefined) await apiKeys.registerOperatorKey(settings.OPERATOR_KEY);
  const stopFollowing =
    live && followOperatorKey({ live, registered: settings.OPERATOR_KEY, apiKeys, logger });
  const verifier = createApiKeyVerifier({
    store: apiKeys,
    pepper: settings.API_KEY_PEPPER,
    now,
    monotonicNow,
    logger,
  });
  apiKeys.onChanged((keyId) => verifier.forget(keyId));
  const lastUsed = createLastUsed({ store: apiKeys, now, monotonicNow, logger });
  if (settings.TRUST_TENANT_HEADER) {
    const proxies = settings.TRUSTED_PROXIES;
    if (proxies.length === 0) throw new SettingsError('TRUSTED_PROXIES: is needed with TRUST_TENANT_HEADER');
    logger.warn(
      { event: 'trust_tenant_header', trusted_proxies: proxies },
      'TRUST_TENANT_HEADER is on: whoever connects from TRUSTED_PROXIES is any tenant and user that it names, without a credential',
    );
  }
  const policies = createPolicyCache({ store: tenants, monotonicNow, logger });
  tenants.onChanged((tenantId) => policies.forget(tenantId));
  const members = createMemberStore({ database });
  const invitations = createInvitationStore({ database, apiKeys, pepper: settings.API_KEY_PEPPER, now });
  const watching = await watchChanges({ database, policies, verifier, logger });
  const jwt = createJwtVerifier({
    issuerOf: createTrustedIssuers({ deployment: settings.JWT_ISSUERS, policies }),
    fetch,
    ...(isStrict ? { fetchForTenants: publicFetch.fetch } : {}),
    now: monotonicNow,
    date: () => new Date(now()),
    onRefreshError: (error, issuer) => logger.warn({ err: error, issuer }, 'an issuer’s keys cannot be read'),
    onSkippedKeys: ({ first, ...counts }, issuer) =>
      logger.warn(
        { event: 'entries_skipped', list: 'jwks', issuer, ...counts, err: first },
        'an issuer’s key set has entries that are no keys; they are left out',
      ),
  });
  const limits =
    options.limiter === undefined
      ? await createRateLimiter({ settings, ...(live && { live }), monotonicNow, logger })
      : {
          limiter: options.limiter,
          budgets: null,
          isDegraded: () => false,
          forget: async () => {},
          close: async () => {},
        };
  const prices = createPriceBook({ database, fallback: priceFromSettings(settings), logger, now });
  await prices.refresh();
  const budgets = createBudgets({ database, logger, now, monotonicNow, shares: limits.budgets });
  const ledger = await createUsageLedger({
    database,
    logger,
    root: settings.USAGE_LOG_DIR ?? join(settings.BULKHEAD_DATA_DIR, 'usage-log'),
    maxBytes: settings.USAGE_LOG_MAX_BYTES,
    syncEach: settings.USAGE_LOG_SYNC === 'each',
    now,
    onShip: budgets.ship,
  });
  const { metricsExporter } = options;
  const metrics =
    options.metrics ?? createLogMetrics({ logger, ...(metricsExporter && { exporter: metricsExporter }) });
  const models = await loadGuardrailModels();
  const requestLog = createRequestLog({ database, logger, redact: createRedactText(models) });
  const idempotency = createIdempotencyStore({
    database,
    sealed: createSealedAnswers(settings.API_KEY_PEPPER),
  });
  const expiry = createRequestLogExpiry({
    database,
    tenants,
    logger,
    now,
    alongside: () => idempotency.purge(),
  });
  const responses = createResponseStore({ database });
  const responseBounds = createResponseBounds({ database, logger });
  const responseExpiry = createResponseExpiry({ database, tenants, bounds: responseBounds, logger, now });
  const conversationExpiry = createConversationExpiry({ database, tenants, logger, now });
  const upkeep = createUsageUpkeep({ database, tenants, logger, now });
  const accounting = createAccounting({ ledger, budgets, prices, metrics, requestLog, now, monotonicNow });

  const eraser = createTenantEraser({
    database,
    rag,
    logger,
    onBegun: (tenantId) => policies.forget(tenantId),
    forgetLimits: limits.forget,
  });

  const dependencies = watchDependencies({
    checks: {
      database: () => database.checkReady(DATABASE_CHECK_MS),
      orchestrator: (signal) => orchestrator.checkReady(signal),
      rag: (signal) => rag.checkReady(signal),
    },
    logger,
  });
  const content = createContentThread();
  const exporter = createTenantExporter({ database, rag, logger, now, monotonicNow });
  const guardrails = options.guardrails ?? shippedGuardrails(models, logger);

  const services: RouterServices = {
    orchestrator,
    rag,
    tenants,
    configHistory: createConfigHistory({ database }),
    eraser,
    exporter,
    apiKeys,
    members,
    invitations,
    onMembersChanged(tenantId, revokedKeyIds) {
      policies.forget(tenantId);
      for (const keyId of revokedKeyIds) verifier.forget(keyId);
    },
    authenticator: createAuthenticator({
      verifier,
      jwt,
      policies,
      trustedProxies: createAddressRanges(settings.TRUSTED_PROXIES),
      trustTenantHeader: settings.TRUST_TENANT_HEADER,
      memberships: createMembershipCache({ store: members }),
      lastUsed,
      strangers: createStrangerLane(),
    }),
    limiter: limits.limiter,
    answerTokens: createAnswerTokens(settings),
    usage: createUsageStore({ database, flush: () => ledger.flush(USAGE_FLUSH_MS) }),
    guardrails,
    judges: createJudgeGuardrails({ judges, logger }),
    content,
    audit: createAuditStore({ database }),
    responses,
    responseHistory: createResponseHistory({ store: responses, maxBytes: settings.MAX_BODY_BYTES, now }),
    keepResponse: createResponseKeeper({ store: responses, bounds: responseBounds, logger }),
    forgetResponses: (tenantId, userId) => forgetResponsesOf(database, tenantId, userId),
    dryRun: createPolicyDryRunner({ database, tenants, monotonicNow }),
    idempotency,
    requests: createRequestLogStore({ database }),
    accounting,
    readiness: createReadinessCheck({
      dependencies,
      isRecording: ledger.isAccepting,
      areLimitsDegraded: limits.isDegraded,
      isDraining: drain.isDraining,
    }),
    refusedBodies: new RefusedBodies({ monotonicNow }),
    prices,
    logger,
    now,
    monotonicNow,
    maxDocumentBytes: settings.MAX_DOCUMENT_BYTES,
    uploads: new FairSemaphore({
      resource: 'uploads',
      capacity: settings.RAG_CONNECTIONS ?? DEFAULT_UPLOADS,
      maxWaiting: MAX_WAITING_UPLOADS,
      maxWaitMs: UPLOAD_WAIT_MS,
    }),
    keepAliveMs: options.keepAliveMs ?? KEEP_ALIVE_MS,
  };

  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  addErrorHandler(app, { logger, ...(options.onError === undefined ? {} : { onError: options.onError }) });
  addBodyParsers(app, services.refusedBodies);
  await addCrossOrigin(app, settings.CORS_ALLOWED_ORIGINS);
  const stallMs = settings.CLIENT_STALL_TIMEOUT_MS ?? DEFAULT_STALL_MS;
  addLifecycle(app, {
    accounting,
    monotonicNow,
    drain,
    closesConnections: () => closesConnections,
    logger,
    stallMs,
    tracing: options.tracing,
    metricsExporter,
  });
  const denials = createDenialRecorder({ database, logger, now });
  addDenialAudit(app, denials);
  await addOpenApi(app);
  await app.register(async (routes: RouterApp) => {
    const refuseOtherMethods = trackMethods(routes);
    addRoutes(routes, services);
    routes.after(() => refuseOtherMethods());
  });
  app.addHook('preClose', async () => {
    // A process that drains sees to its connections itself.
    closesConnections = !drain.isDraining();
    drain.begin();
    exporter.close();
  });
  app.addHook('onClose', async () => {
    dependencies.close();
    await eraser.close();
    stopFollowing?.();
    await watching.close();
    await publicFetch.close();
    await judges.close();
    await content.close();
    await lastUsed.close();
    await denials.close(AUDIT_CLOSE_MS);
    await ledger.close(LEDGER_CLOSE_MS);
    budgets.close();
    await Promise.all([prices.close(), upkeep.close(), responseExpiry.close(), responseBounds.close()]);
    await Promise.all([requestLog.close(LOG_CLOSE_MS), expiry.close(), conversationExpiry.close()]);
    await limits.close();
  });
  await app.ready();
  eraser.start();
  expiry.start();
  upkeep.start();
  responseExpiry.start();
  conversationExpiry.start();
  return app;
}

function shippedGuardrails(models: GuardrailModels, logger: Logger): RouterServices['guardrails'] {
  return {
    input: createInputGuardrails({ models, logger }),
    output: createOutputGuardrails({ models, logger }),
  };
}
