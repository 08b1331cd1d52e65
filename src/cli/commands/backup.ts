import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Settings } from '#app/settings/settings.ts';
import { backupProgress, formatBytes } from '#cli/backup/backup-progress.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { readSettings } from '#cli/read-settings.ts';

/** `backup <directory>` and `restore <directory>`: an embedded platform, as a whole. They work on the data directory itself. */
export function addBackupCommands(program: Command, io: CliIo): void {
  program
    .command('backup <directory>')
    .description(
      'copy the embedded platform of BULKHEAD_DATA_DIR into a new directory, while it serves or is stopped',
    )
    .option('--json', 'print JSON for machines')
    .addHelpText('after', HELP)
    .action((directory: string, options: { json?: boolean }) =>
      interruptibly(io, async (settings, signal) => {
        const target = resolve(io.cwd, directory);
        const progress = backupProgress(io);
        const { BULKHEAD_DATA_DIR: dataDirectory, USAGE_LOG_DIR } = settings;
        const { createBackup } = await import('#cli/backup/create-backup.ts');
        const result = await createBackup({
          dataDirectory,
          usageLog:
            USAGE_LOG_DIR === undefined ? join(dataDirectory, 'usage-log') : resolve(io.cwd, USAGE_LOG_DIR),
          target,
          onProgress: progress.report,
          signal,
        }).finally(progress.end);
        if (options.json === true) {
          return writeJson(io.stdout, {
            directory: target,
            files: result.files,
            bytes: result.bytes,
            online: result.isOnline,
          });
        }
        writeLine(
          io.stdout,
          `Backed up ${result.files} files (${formatBytes(result.bytes)}) to ${target}. It holds every tenant’s content and the platform’s secrets: keep it as safe as the platform.`,
        );
      }),
    );
  program
    .command('restore <directory>')
    .description('copy a backup into BULKHEAD_DATA_DIR, which is new or empty, and verify ledger and audit')
    .option('--json', 'print JSON for machines')
    .addHelpText('after', HELP)
    .action((directory: string, options: { json?: boolean }) =>
      interruptibly(io, async (settings, signal) => {
        const progress = backupProgress(io);
        const { BULKHEAD_DATA_DIR: dataDirectory } = settings;
        const { restoreBackup } = await import('#cli/backup/restore-backup.ts');
        const { verifyRestored } = await import('#cli/backup/verify-restored.ts');
        const copied = await restoreBackup({
          backup: resolve(io.cwd, directory),
          dataDirectory,
          onProgress: progress.report,
          signal,
        }).finally(progress.end);
        const verified = await verifyRestored(settings, signal);
        const { broken, ...counts } = verified;
        if (options.json === true)
          writeJson(io.stdout, { data_directory: dataDirectory, ...copied, ...counts, broken });
        else {
          writeLine(
            io.stdout,
            `Restored ${copied.files} files (${formatBytes(copied.bytes)}) to ${dataDirectory}: ${counts.tenants} tenants, ${counts.usage_records} usage records, ${counts.audit_events} audit events.`,
          );
        }
        if (broken.length > 0) {
          throw new CliError(
            `All is restored as it was backed up, and there the audit is broken: ${broken.join(', ')}.`,
          );
        }
        if (options.json !== true) {
          writeLine(
            io.stdout,
            'Every audit chain holds. Start it with `bulkhead up`; documents are indexed again in the background.',
          );
        }
      }),
    );
}

const HELP = `
The data directory is that of BULKHEAD_DATA_DIR. For PostgreSQL, see docs/operations/backup-and-restore.md.`;

async function interruptibly(
  io: CliIo,
  work: (settings: Settings, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const live = await readSettings(io);
  const stopping = new AbortController();
  const stopListening = io.onInterrupt(() => stopping.abort());
  try {
    if (live.settings.DATABASE_URL !== undefined) {
      throw new CliError(
        'DATABASE_URL is set: a platform on PostgreSQL is backed up with pg_dump. See docs/operations/backup-and-restore.md.',
        { exitCode: EXIT.usage },
      );
    }
    await work(live.settings, stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    throw new CliError('Stopped. What was copied is not complete.', {
      exitCode: EXIT.interrupted,
      cause: error,
    });
  } finally {
    stopListening();
    live.close();
  }
}
