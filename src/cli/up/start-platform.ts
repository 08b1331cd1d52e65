import { lockDataDirectory } from '#app/data-directory/data-directory-lock.ts';
import { refuseHalfRestored } from '#app/data-directory/restoring.ts';
import { openDatabase } from '#app/database/open-database.ts';
import { describeFault } from '#app/faults/describe-fault.ts';
import { createDrain } from '#app/http/drain.ts';
import { serve } from '#app/http/serve.ts';
import type { LiveSettings } from '#app/settings/live-settings.ts';
import type { Settings } from '#app/settings/settings.ts';
import { CliError } from '#cli/cli-error.ts';
import type { DemoTenant } from '#cli/demo-file.ts';
import { serverFileIn } from '#cli/server-file.ts';
import { checkPort, listenFailure } from '#cli/up/check-port.ts';
import { startControlServer } from '#cli/up/control-server.ts';
import { openDemoState } from '#cli/up/demo/demo-state.ts';
import { seedDemoTenants } from '#cli/up/demo/seed-demo-tenants.ts';
import { seedInBackground } from '#cli/up/demo/seed-in-background.ts';
import { writeDemoFile } from '#cli/up/demo/write-demo-file.ts';
import { loadSecrets, type Secrets } from '#cli/up/secrets.ts';
import type { StartupReport } from '#cli/up/startup-report.ts';
import { writeFileAtomically } from '#cli/up/write-file-atomically.ts';
import { createInferenceEngine } from '#inference/create-inference-engine.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { createExtractiveEngine } from '#inference/extractive/extractive-engine.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import type { Logger } from '#observability/logger.ts';
import type { Observability } from '#observability/observability.ts';
import { reportSettings } from '#observability/report-settings.ts';
import { watchPlaces } from '#observability/watch-places.ts';
import { createOrchestrator } from '#orchestrator/orchestrator.ts';
import { createRag } from '#rag/create-rag.ts';
import { buildRouterApp } from '#router/app.ts';
import { createApiKeyStore } from '#router/identity/api-key-store.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';

const ENGINE_CHECK_MS = 5_000;

export type PlatformOptions = {
  /** BULKHEAD_DATA_DIR absolute. */
  settings: Settings;
  /** The settings as they change; absent where they do not. It is closed with the platform. */
  live?: LiveSettings;
  report: StartupReport;
  /** Has a logger for each of the services, and for `bulkhead` itself. It is closed with the platform. */
  observability: Observability;
  /** Gives the start up; a running platform is stopped by `stop()`. */
  signal: AbortSignal;
};

export type Platform = {
  url: string;
  operatorKey: string;
  tenants: readonly DemoTenant[];
  /** Where keys and URL are written for the other commands; null without a demo. */
  demoFile: string | null;
  /** Resolves when the demo's documents are indexed. */
  seeded: Promise<void>;
  /** Finishes what is under way, closes everything and lets go of the data directory. */
  stop(): Promise<void>;
};

/**
 * The whole platform in this process: router, orchestrator and RAG service, on the data directory or on the
 * servers that the settings name. Signals stop it. A start that fails leaves nothing open.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { settings, live, report, observability, signal } = options;
  const { loggerOf } = observability;
  const logger = loggerOf('bulkhead');
  const dataDirectory = settings.BULKHEAD_DATA_DIR;
  await checkPort(settings.HOST, settings.PORT);

  const opened = new AsyncDisposableStack();
  // Last of all: what the others say as they close is logged.
  opened.defer(() => observability.close());
  opened.defer(() => live?.close());
  if (live !== undefined) reportSettings(live, logger);
  try {
    const lock = await lockDataDirectory(dataDirectory, {
      onWatch: (holder) => report.line(`${holder} used ${dataDirectory}; seeing whether it still does …`),
    });
    opened.defer(() => lock.release());
    refuseHalfRestored(dataDirectory);
    const secrets = await loadSecrets(dataDirectory, settings);

    const embedding = report.step('embedding model', () =>
      createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY }),
    );
    opened.defer(() => embedding.then((embedder) => embedder.close()).catch(() => undefined));
    const { database, jobs } = await report.step('database', () =>
      openNamedDatabase(settings, logger, report, live),
    );
    opened.defer(() => database.close());
    const embedder = await embedding;
    signal.throwIfAborted();

    const rag = await createRag({
      settings,
      database,
      jobs,
      embedder,
      dataDirectory,
      logger: loggerOf('rag'),
    });
    opened.defer(() => rag.close());
    const {
      engine,
      places,
      close: closeEngine,
    } = await createInferenceEngine({
      settings: { ...settings, CACHE_SALT_SECRET: secrets.cacheSaltSecret },
      ...(live && {
        credential: {
          current: () => live.current().INFERENCE_API_KEY,
          refresh: () => live.refresh(),
        },
      }),
      logger: loggerOf('orchestrator'),
      isTraced: observability.tracing !== undefined,
      createFallback: () => createExtractiveEngine({ embedder }),
    });
    opened.defer(closeEngine);
    watchPlaces(observability.metrics, {
      database_transactions: () => database.places,
      engine_answers: () => places?.(),
    });
    if (settings.INFERENCE_BASE_URL !== undefined)
      warnUnlessReady(engine, settings.INFERENCE_BASE_URL, report);
    const orchestrator = createOrchestrator({
      database,
      rag: rag.service,
      engine,
      logger: loggerOf('orchestrator'),
    });
    const drain = createDrain();
    const app = await buildRouterApp({
      drain,
      database,
      orchestrator,
      rag: rag.service,
      settings: routerSettings(settings, secrets),
      ...(live && { live }),
      logger: loggerOf('router'),
      ...(observability.metrics && { metricsExporter: observability.metrics }),
      ...(observability.tracing && { tracing: observability.tracing }),
    });
    opened.defer(() => app.close());
    await report.step('job queue', () => rag.start());
    signal.throwIfAborted();

    if (jobs.kind === 'pglite') {
      const { pglite } = jobs;
      const control = await startControlServer({
        dataDirectory,
        copyDatabase: (directory) => pglite.copyTo(directory),
        logger,
      });
      opened.defer(() => control.close());
    }
    const state = settings.BULKHEAD_DEMO
      ? await openDemoState(dataDirectory, databaseName(settings))
      : undefined;
    const tenants =
      state === undefined
        ? []
        : await seedDemoTenants({
            tenants: createTenantStore({ database }),
            keys: createApiKeyStore({ database, pepper: secrets.apiKeyPepper }),
            state,
            log: report.line,
          });

    const served = await serve({
      app,
      host: settings.HOST,
      port: settings.PORT,
      drain,
      drainDelayMs: settings.DRAIN_DELAY_MS ?? 0,
      drainTimeoutMs: settings.DRAIN_TIMEOUT_MS,
      onDrain: () => rag.drain(),
      onClosed: () => opened.disposeAsync(),
      log: report.line,
    }).catch((error: unknown) => {
      throw listenFailure(settings.HOST, settings.PORT, error);
    });
    await writeFileAtomically(serverFileIn(dataDirectory), `${JSON.stringify({ url: served.url })}\n`);
    const demoFile = await writeDemoFile(dataDirectory, {
      url: served.url,
      operator_key: secrets.operatorKey,
      tenants: state === undefined ? null : tenants,
    });
    const seeding =
      state === undefined ? undefined : seedInBackground({ rag: rag.service, state, report, logger });
    opened.defer(async () => seeding?.stop());
    return {
      url: served.url,
      operatorKey: secrets.operatorKey,
      tenants,
      demoFile,
      seeded: seeding?.finished ?? Promise.resolve(),
      stop: served.stop,
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

/** An engine may come up later, so one that does not answer is no reason not to start. */
function warnUnlessReady(engine: InferenceEngine, url: string, report: StartupReport): void {
  engine.checkReady(AbortSignal.timeout(ENGINE_CHECK_MS)).catch(() => {
    report.line(
      `Warning: the language model server at ${url} does not answer yet; chat fails until it does.`,
    );
  });
}

const routerSettings = (settings: Settings, secrets: Secrets) => ({
  ...settings,
  API_KEY_PEPPER: secrets.apiKeyPepper,
  OPERATOR_KEY: secrets.operatorKey,
});

async function openNamedDatabase(
  settings: Settings,
  logger: Logger,
  report: StartupReport,
  live: LiveSettings | undefined,
) {
  try {
    return await openDatabase(
      settings,
      (error) =>
        logger.warn({ event: 'database_connection_lost', err: error }, 'an idle connection was lost'),
      live,
      report.line,
    );
  } catch (error) {
    const why =
      describeFault(error) ??
      (error instanceof Error && error.message !== '' ? error.message : String(error));
    throw new CliError(
      settings.DATABASE_URL === undefined
        ? `The database in ${settings.BULKHEAD_DATA_DIR}/database cannot be opened: ${why}`
        : `The database of DATABASE_URL (${databaseName(settings)}) cannot be used: ${why}`,
      { cause: error },
    );
  }
}

/** Which database it is, without the password. */
export function databaseName({ DATABASE_URL }: Pick<Settings, 'DATABASE_URL'>): string {
  if (DATABASE_URL === undefined) return 'embedded';
  const { hostname, port, pathname } = new URL(DATABASE_URL);
  return `${hostname}:${port === '' ? '5432' : port}${pathname}`;
}
