import { Command, CommanderError } from 'commander';
import { startFailure } from '#app/faults/start-failure.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeLine } from '#cli/cli-io.ts';
import { addAuditCommand } from '#cli/commands/audit.ts';
import { addBackupCommands } from '#cli/commands/backup.ts';
import { addBudgetCommand } from '#cli/commands/budget.ts';
import { addChatCommand } from '#cli/commands/chat.ts';
import { addDocumentsCommands } from '#cli/commands/documents.ts';
import { addIngestCommand } from '#cli/commands/ingest.ts';
import { addKeyCommands } from '#cli/commands/key.ts';
import { addMemberCommands } from '#cli/commands/member.ts';
import { addMigrateCommand } from '#cli/commands/migrate.ts';
import { addPriceCommands } from '#cli/commands/price.ts';
import { addRequestsCommand } from '#cli/commands/requests.ts';
import { addSearchCommand } from '#cli/commands/search.ts';
import { addSettingsCommand } from '#cli/commands/settings.ts';
import { addTenantCommands } from '#cli/commands/tenant.ts';
import { addUpCommand } from '#cli/commands/up.ts';
import { addUsageCommand } from '#cli/commands/usage.ts';

/** Runs one command line (without `node` and the script); resolves with the exit code. Prints, never throws. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  const program = new Command('bulkhead')
    .description(
      'A multi-tenant LLM chat platform. `bulkhead up` starts it; the rest speaks to one that runs.',
    )
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(text),
    })
    .showSuggestionAfterError()
    .showHelpAfterError('(see --help)');
  addUpCommand(program, io);
  addSettingsCommand(program, io);
  addMigrateCommand(program, io);
  addBackupCommands(program, io);
  addTenantCommands(program, io);
  addKeyCommands(program, io);
  addMemberCommands(program, io);
  addIngestCommand(program, io);
  addChatCommand(program, io);
  addSearchCommand(program, io);
  addDocumentsCommands(program, io);
  addUsageCommand(program, io);
  addBudgetCommand(program, io);
  addPriceCommands(program, io);
  addAuditCommand(program, io);
  addRequestsCommand(program, io);
  inheritOutput(program, program);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    return report(error, io);
  }
}

/** Commands that were added to others take over how the program prints and exits. */
function inheritOutput(program: Command, command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(program);
    inheritOutput(program, child);
  }
}

function report(error: unknown, io: CliIo): number {
  if (error instanceof CommanderError) {
    // Commander has printed it already; help and version are no failures.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  if (error instanceof CliError) {
    if (error.message !== '') writeLine(io.stderr, error.message);
    return error.exitCode;
  }
  writeLine(io.stderr, startFailure(error));
  return EXIT.failed;
}
