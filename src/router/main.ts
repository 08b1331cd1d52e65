import { openDatabase } from '#app/database/open-database.ts';
import { watchProcessFaults } from '#app/faults/process-faults.ts';
import { startFailure } from '#app/faults/start-failure.ts';
import { createDrain } from '#app/http/drain.ts';
import { drainDelayOf } from '#app/http/drain-delay.ts';
import { createInternalTokenMinter } from '#app/http/internal-token.ts';
import { serve } from '#app/http/serve.ts';
import { createOrchestratorClient } from '#app/services/orchestrator-client.ts';
import { createRagClient } from '#app/services/rag-client.ts';
import { openSettings } from '#app/settings/aws-settings.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import type { Settings } from '#app/settings/settings.ts';
import { stdoutDestination } from '#observability/logger.ts';
import { openObservability } from '#observability/observability.ts';
import { reportCallFaults } from '#observability/report-call-faults.ts';
import { reportSettings } from '#observability/report-settings.ts';
import { watchPlaces } from '#observability/watch-places.ts';
import { buildRouterApp } from '#router/app.ts';

/** The router as a process of its own. */
async function main(): Promise<void> {
  const live = await openSettings(process.env);
  const { settings } = live;
  need(settings, 'DATABASE_URL');
  const pepper = need(settings, 'API_KEY_PEPPER');
  const observability = await openObservability(settings, {
    process: 'router',
    fallback: stdoutDestination(),
  });
  const logger = observability.loggerOf('router');
  reportSettings(live, logger);
  const tokens = await createInternalTokenMinter(need(settings, 'INTERNAL_TOKEN_PRIVATE_KEY'));
  const onFault = reportCallFaults(logger);
  const shortCalls = settings.SERVICE_CALL_CONNECTIONS;
  const orchestrator = createOrchestratorClient({
    baseUrl: need(settings, 'ORCHESTRATOR_URL'),
    tokens,
    longCalls: settings.ORCHESTRATOR_CONNECTIONS,
    shortCalls,
    onFault,
  });
  const rag = createRagClient({
    baseUrl: need(settings, 'RAG_SERVICE_URL'),
    tokens,
    longCalls: settings.RAG_CONNECTIONS,
    shortCalls,
    onFault,
  });
  const { database } = await openDatabase(
    settings,
    (error) =>
      logger.warn({ event: 'database_connection_lost', err: error }, 'an idle database connection failed'),
    live,
    (line) => logger.info({ event: 'database_schema' }, line),
  );
  watchPlaces(observability.metrics, {
    database_transactions: () => database.places,
    orchestrator_turns: () => orchestrator.stats.long,
    orchestrator_calls: () => orchestrator.stats.short,
    rag_transfers: () => rag.stats.long,
    rag_calls: () => rag.stats.short,
  });
  const drain = createDrain();
  const app = await buildRouterApp({
    drain,
    database,
    orchestrator,
    rag,
    settings: { ...settings, API_KEY_PEPPER: pepper },
    live,
    logger,
    ...(observability.metrics && { metricsExporter: observability.metrics }),
    ...(observability.tracing && { tracing: observability.tracing }),
  });
  const { url, stop } = await serve({
    app,
    host: settings.HOST,
    port: settings.PORT,
    drain,
    drainDelayMs: drainDelayOf(settings),
    drainTimeoutMs: settings.DRAIN_TIMEOUT_MS,
    async onClosed() {
      await Promise.all([orchestrator.close(), rag.close()]);
      await database.close();
      live.close();
      await observability.close();
    },
    log: (message) => logger.info({ event: 'process' }, message),
  });
  watchProcessFaults({ report: logger.error, stop });
  logger.info({ event: 'listening', url }, 'the router is listening');
}

function need<Name extends keyof Settings>(settings: Settings, name: Name): NonNullable<Settings[Name]> {
  const value = settings[name];
  if (value === undefined || value === null) {
    throw new SettingsError(`${name}: is needed by the router; \`bulkhead up\` runs without it`);
  }
  return value;
}

main().catch((error: unknown) => {
  process.stderr.write(`${startFailure(error)}\n`);
  // Pools that were opened before the failure would keep the process alive.
  process.exit(1);
});
