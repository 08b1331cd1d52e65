import { openDatabase } from '#app/database/open-database.ts';
import { watchProcessFaults } from '#app/faults/process-faults.ts';
import { startFailure } from '#app/faults/start-failure.ts';
import { createDrain } from '#app/http/drain.ts';
import { drainDelayOf } from '#app/http/drain-delay.ts';
import { createForwardedTokens, createInternalTokenVerifier } from '#app/http/internal-token.ts';
import { serve } from '#app/http/serve.ts';
import { createRagClient } from '#app/services/rag-client.ts';
import { openSettings } from '#app/settings/aws-settings.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import type { Settings } from '#app/settings/settings.ts';
import { createInferenceEngine } from '#inference/create-inference-engine.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { createExtractiveEngine } from '#inference/extractive/extractive-engine.ts';
import { stdoutDestination } from '#observability/logger.ts';
import { openObservability } from '#observability/observability.ts';
import { reportCallFaults } from '#observability/report-call-faults.ts';
import { reportSettings } from '#observability/report-settings.ts';
import { watchDependencies } from '#observability/watch-dependencies.ts';
import { watchPlaces } from '#observability/watch-places.ts';
import { buildOrchestratorApp } from '#orchestrator/app.ts';
import { createOrchestrator } from '#orchestrator/orchestrator.ts';

const DATABASE_CHECK_MS = 2_000;

/** A setting that this process cannot do without. */
function needed<Name extends keyof Settings>(settings: Settings, name: Name): NonNullable<Settings[Name]> {
  const value = settings[name];
  if (value === undefined || value === null) {
    throw new SettingsError(`${name}: is needed by the orchestrator; \`bulkhead up\` runs without it`);
  }
  return value;
}

/** The orchestrator as a process of its own. What was opened is closed again, in reverse, however it ends. */
async function main(): Promise<void> {
  const live = await openSettings(process.env);
  const { settings } = live;
  needed(settings, 'DATABASE_URL');
  const ragUrl = needed(settings, 'RAG_SERVICE_URL');
  const verifier = await createInternalTokenVerifier(
    needed(settings, 'INTERNAL_TOKEN_PUBLIC_KEY'),
    'orchestrator',
  );
  const observability = await openObservability(settings, {
    process: 'orchestrator',
    fallback: stdoutDestination(),
  });
  const logger = observability.loggerOf('orchestrator');
  reportSettings(live, logger);

  const opened = new AsyncDisposableStack();
  // Last of all: what the others say as they close is logged.
  opened.defer(() => observability.close());
  opened.defer(() => live.close());
  try {
    const { database } = await openDatabase(
      settings,
      (error) =>
        logger.warn({ event: 'database_connection_lost', err: error }, 'an idle database connection failed'),
      live,
      (line) => logger.info({ event: 'database_schema' }, line),
    );
    opened.defer(() => database.close());
    const {
      engine,
      places,
      close: closeEngine,
    } = await createInferenceEngine({
      settings,
      credential: {
        current: () => live.current().INFERENCE_API_KEY,
        refresh: () => live.refresh(),
      },
      logger,
      isTraced: observability.tracing !== undefined,
      async createFallback() {
        const embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY });
        opened.defer(() => embedder.close());
        return createExtractiveEngine({ embedder });
      },
    });
    opened.defer(closeEngine);
    const forwardedTokens = createForwardedTokens();
    const rag = createRagClient({
      baseUrl: ragUrl,
      tokens: forwardedTokens,
      shortCalls: settings.SERVICE_CALL_CONNECTIONS,
      onFault: reportCallFaults(logger),
    });
    opened.defer(() => rag.close());

    watchPlaces(observability.metrics, {
      database_transactions: () => database.places,
      engine_answers: () => places?.(),
      rag_calls: () => rag.stats.short,
    });
    const service = createOrchestrator({ database, rag, engine, logger });
    const watch = watchDependencies({
      checks: {
        database: () => database.checkReady(DATABASE_CHECK_MS),
        engine: (signal) => engine.checkReady(signal),
      },
      logger,
    });
    opened.defer(async () => watch.close());
    const drain = createDrain();
    const app = buildOrchestratorApp({
      service,
      verifier,
      forwardedTokens,
      settings,
      logger,
      drain,
      dependencies: watch.states,
      ...(observability.tracing && { tracing: observability.tracing }),
    });
    const { url, stop } = await serve({
      app,
      host: settings.HOST,
      port: settings.PORT,
      drain,
      drainDelayMs: drainDelayOf(settings),
      drainTimeoutMs: settings.DRAIN_TIMEOUT_MS,
      onClosed: () => opened.disposeAsync(),
      log: (message) => logger.info({ event: 'process' }, message),
    });
    watchProcessFaults({ report: logger.error, stop });
    logger.info({ event: 'listening', url, engine: engine.name }, 'the orchestrator is listening');
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${startFailure(error)}\n`);
  // A connection that was opened before the failure would keep the process alive.
  process.exit(1);
});
