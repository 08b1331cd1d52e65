import type { Command } from 'commander';
import type { CliIo } from '#cli/cli-io.ts';

/** `up`: the whole platform in one process. It runs until a signal stops it. */
export function addUpCommand(program: Command, io: CliIo): void {
  program
    .command('up')
    .description('start everything in this process (npm start does)')
    .option('--json', 'when it is up, print where and with which keys as one JSON line')
    .addHelpText(
      'after',
      `
Settings are environment variables, or lines of a .env file: PORT, HOST, BULKHEAD_DATA_DIR, BULKHEAD_DEMO=off,
DATABASE_URL, INFERENCE_BASE_URL with INFERENCE_MODEL, and more: docs/settings.md.
Log lines go to stdout, or from a terminal to bulkhead.log in the data directory.`,
    )
    // Loaded when it runs: the services, their drivers and the model's runtime take seconds.
    .action(async (options: { json?: boolean }) => (await import('#cli/up/run-up.ts')).runUp(options, io));
}
