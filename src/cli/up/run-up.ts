import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { endAtOnce } from '#app/end-at-once.ts';
import { watchProcessFaults } from '#app/faults/process-faults.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import type { Settings } from '#app/settings/settings.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson } from '#cli/cli-io.ts';
import { readSettings } from '#cli/read-settings.ts';
import { type BannerFacts, renderBanner } from '#cli/up/banner.ts';
import { databaseName, type Platform, startPlatform } from '#cli/up/start-platform.ts';
import { createStartupReport } from '#cli/up/startup-report.ts';
import { fileDestination, type LineDestination } from '#observability/logger.ts';
import { type Observability, openObservability } from '#observability/observability.ts';

/** Starts the whole platform in this process and says where it is. It runs until a signal stops it. */
export async function runUp(options: { json?: boolean }, io: CliIo): Promise<void> {
  io.outliveOutput();
  const live = await readSettings(io);
  const { settings } = live;
  const report = createStartupReport(io.stderr);
  const starting = new AbortController();
  const stopListening = io.onInterrupt(() => {
    // The second one ends a start that does not react.
    if (starting.signal.aborted) return endAtOnce();
    report.line('Stopping …');
    starting.abort();
  });
  const { observability, logFile } = await openLog(io, settings, options.json === true);
  let platform: Platform;
  try {
    platform = await startPlatform({ settings, live, report, observability, signal: starting.signal });
  } catch (error) {
    if (!starting.signal.aborted) throw error;
    throw new CliError('Stopped.', { exitCode: EXIT.interrupted, cause: error });
  } finally {
    stopListening();
  }
  watchProcessFaults({ report: observability.loggerOf('bulkhead').error, stop: platform.stop });
  const facts = bannerFacts(platform, settings, logFile);
  if (options.json === true) writeJson(io.stdout, machineReadable(facts));
  else report.line(renderBanner(facts, io.cwd));
}

/** A terminal is for people, and so is stdout when JSON was asked for: log lines go to a file then. */
async function openLog(
  io: CliIo,
  settings: Settings,
  json: boolean,
): Promise<{ observability: Observability; logFile: string | null }> {
  const open = (fallback: LineDestination) =>
    openObservability(settings, { process: 'bulkhead', fallback }).catch((error: unknown) => {
      if (error instanceof SettingsError) throw new CliError(error.message, { cause: error });
      throw error;
    });
  if (!json && io.stdout.isTTY !== true)
    return { observability: await open(await io.logOutput()), logFile: null };
  const { BULKHEAD_DATA_DIR: directory } = settings;
  const logFile = join(directory, 'bulkhead.log');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return { observability: await open(fileDestination(logFile)), logFile };
}

const machineReadable = (facts: BannerFacts) => ({
  url: facts.url,
  operator_key: facts.operatorKey,
  tenants: facts.tenants,
  engine: facts.engine.kind === 'extractive' ? 'extractive' : facts.engine.model,
  database: facts.database,
  data_directory: facts.dataDirectory,
  demo_file: facts.demoFile,
  log_file: facts.logFile,
});

function bannerFacts(platform: Platform, settings: Settings, logFile: string | null): BannerFacts {
  const { INFERENCE_BASE_URL: baseUrl, INFERENCE_MODEL: model } = settings;
  return {
    url: platform.url,
    operatorKey: platform.operatorKey,
    tenants: platform.tenants,
    engine:
      baseUrl === undefined || model === undefined
        ? { kind: 'extractive' }
        : { kind: 'model', model, baseUrl },
    database: settings.DATABASE_URL === undefined ? 'embedded (PGlite)' : databaseName(settings),
    dataDirectory: settings.BULKHEAD_DATA_DIR,
    demoFile: platform.demoFile,
    logFile,
  };
}
