import { lockDataDirectory } from '#app/data-directory/data-directory-lock.ts';
import { openDatabase } from '#app/database/open-database.ts';
import { watchProcessFaults } from '#app/faults/process-faults.ts';
import { startFailure } from '#app/faults/start-failure.ts';
import { createDrain } from '#app/http/drain.ts';
import { drainDelayOf } from '#app/http/drain-delay.ts';
import { createInternalTokenVerifier } from '#app/http/internal-token.ts';
import { serve } from '#app/http/serve.ts';
import { openSettings } from '#app/settings/aws-settings.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { stdoutDestination } from '#observability/logger.ts';
import { openObservability } from '#observability/observability.ts';
import { reportSettings } from '#observability/report-settings.ts';
import { watchDependencies } from '#observability/watch-dependencies.ts';
import { buildRagApp } from '#rag/app.ts';
import { createRag } from '#rag/create-rag.ts';

const DATABASE_CHECK_MS = 2_000;
/** A process that has drained closes within this, milliseconds. */
const CLOSE_MS = 10_000;

/** The RAG service as a process of its own. */
async function main(): Promise<void> {
  const live = await openSettings(process.env);
  const { settings } = live;
  if (settings.INTERNAL_TOKEN_PUBLIC_KEY === undefined) {
    throw new SettingsError('INTERNAL_TOKEN_PUBLIC_KEY: is needed by the RAG service');
  }
  if (settings.DATABASE_URL === undefined) {
    throw new SettingsError('DATABASE_URL: is needed by the RAG service; `bulkhead up` runs without one');
  }
  const observability = await openObservability(settings, { process: 'rag', fallback: stdoutDestination() });
  const logger = observability.loggerOf('rag');
  reportSettings(live, logger);
  const verifier = await createInternalTokenVerifier(settings.INTERNAL_TOKEN_PUBLIC_KEY, 'rag-service');
  const { database, jobs } = await openDatabase(
    settings,
    (error) =>
      logger.warn({ event: 'database_connection_lost', err: error }, 'an idle database connection failed'),
    live,
    (line) => logger.info({ event: 'database_schema' }, line),
  );
  const embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY });
  // Files and index are this process's alone. All else is ready by now: a process that replaces another waits here for its end.
  const lock = await lockDataDirectory(settings.BULKHEAD_DATA_DIR, {
    waitMs: drainDelayOf(settings) + settings.DRAIN_TIMEOUT_MS + CLOSE_MS,
    onWait: () =>
      logger.warn(
        { event: 'data_directory_in_use' },
        'another process uses the data directory; waiting for it to stop',
      ),
  });
  const rag = await createRag({
    settings,
    database,
    jobs,
    embedder,
    dataDirectory: settings.BULKHEAD_DATA_DIR,
    logger,
  });
  await rag.start();
  const watch = watchDependencies({
    checks: { database: () => database.checkReady(DATABASE_CHECK_MS) },
    logger,
  });
  const drain = createDrain();
  const { url, stop } = await serve({
    app: buildRagApp({
      service: rag.service,
      verifier,
      settings,
      logger,
      drain,
      dependencies: watch.states,
      ...(observability.tracing && { tracing: observability.tracing }),
    }),
    host: settings.HOST,
    port: settings.PORT,
    drain,
    drainDelayMs: drainDelayOf(settings),
    drainTimeoutMs: settings.DRAIN_TIMEOUT_MS,
    onDrain: () => rag.drain(),
    async onClosed() {
      watch.close();
      await rag.close();
      await embedder.close();
      await database.close();
      await lock.release();
      live.close();
      await observability.close();
    },
    log: (message) => logger.info({ event: 'process' }, message),
  });
  watchProcessFaults({ report: logger.error, stop });
  logger.info({ event: 'listening', url }, 'the RAG service is listening');
}

main().catch((error: unknown) => {
  process.stderr.write(`${startFailure(error)}\n`);
  // Jobs and pools that were opened before the failure would keep the process alive.
  process.exit(1);
});
