import type { Command } from 'commander';
import type { CliIo } from '#cli/cli-io.ts';
import type { MigrateOptions } from '#cli/migrate/run-migrate.ts';

/** `migrate`: brings the schema up to date, as a job before services are started. It speaks to the database itself. */
export function addMigrateCommand(program: Command, io: CliIo): void {
  program
    .command('migrate')
    .description('bring the database’s schema to this version’s, and say what was done')
    .option(
      '--check',
      'change nothing: exit with 0 up to date, 3 something is pending, 4 not for this version',
    )
    .option('--roles', 'make the roles alone, before a dump is restored (PostgreSQL)')
    .option('--json', 'print JSON for machines')
    .addHelpText(
      'after',
      `
The database is that of MIGRATION_DATABASE_URL (the schema’s owner) or DATABASE_URL, whose login is given what it needs;
without either, the embedded one in BULKHEAD_DATA_DIR, which no server may be using. See docs/operations/upgrade-and-rollback.md.`,
    )
    // Loaded when it runs, with the databases' drivers.
    .action(async (options: MigrateOptions) =>
      (await import('#cli/migrate/run-migrate.ts')).runMigrate(options, io),
    );
}
