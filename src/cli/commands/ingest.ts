import type { Command } from 'commander';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { collectionOption } from '#cli/commands/collection-option.ts';
import { interruptible } from '#cli/commands/interruptible.ts';
import { connect, type TenantConnectionOptions, withConnection } from '#cli/connection.ts';
import { collectFiles, DIRECTORY_EXTENSIONS } from '#cli/ingest/collect-files.ts';
import { ingestFiles } from '#cli/ingest/ingest-files.ts';
import { createProgressLine } from '#cli/output/progress-line.ts';

type IngestCommandOptions = TenantConnectionOptions & {
  share?: boolean;
  title?: string;
  collection?: string;
  ext?: string;
  wait: boolean;
};

/** `ingest <paths…>`: uploads documents and waits until they can be asked about. */
export function addIngestCommand(program: Command, io: CliIo): void {
  withConnection(program.command('ingest <paths...>'), 'tenant')
    .description('upload files, or directories of them, and wait until they are indexed')
    .option(
      '--share',
      'for every user of the tenant (needs an admin’s key); default: for this key’s user alone',
    )
    .option('--title <title>', 'title, for a single file')
    .addOption(collectionOption('the collection that they belong to (default: the key’s own, or `default`)'))
    .option('--ext <endings>', `take these from directories (default: ${DIRECTORY_EXTENSIONS.join(',')})`)
    .option('--no-wait', 'do not wait for the indexing')
    .action(async (paths: string[], options: IngestCommandOptions) => {
      const { files, failures: missing } = await collectFiles(
        paths,
        options.ext
          ?.toLowerCase()
          .split(',')
          .map((ending) => ending.trim().replace(/^\./, '')),
      );
      if (options.title !== undefined && files.length > 1) {
        throw new CliError('--title is for a single file.', { exitCode: EXIT.usage });
      }
      const api = await connect(io, options, options.share === true ? 'admin' : 'member');
      const progress = createProgressLine(io.stderr);
      for (const { file, message } of missing) progress.log(`failed  ${file}  ${message}`);
      const { documents, failures } = await interruptible(io, (signal) =>
        ingestFiles({
          api,
          files,
          visibility: options.share === true ? 'tenant' : 'private',
          ...(options.title === undefined ? {} : { title: options.title }),
          ...(options.collection === undefined ? {} : { collection: options.collection }),
          storeOnly: !options.wait,
          progress,
          signal,
        }),
      );
      const failed = [...missing, ...failures];
      if (options.json === true) writeJson(io.stdout, { documents, failures: failed });
      else {
        const passages = documents.reduce((sum, { chunk_count }) => sum + chunk_count, 0);
        const ready = documents.filter(({ status }) => status === 'ready').length;
        writeLine(
          io.stdout,
          options.wait
            ? `${ready} ready (${passages} passages), ${failed.length} failed.`
            : `${documents.length} stored, ${failed.length} failed.`,
        );
      }
      if (failed.length > 0) throw new CliError('', { exitCode: EXIT.failed });
    });
}
