import { processIo } from '#cli/cli-io.ts';
import { runCli } from '#cli/run-cli.ts';

try {
  process.loadEnvFile('.env');
} catch (error) {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}
const code = await runCli(process.argv.slice(2), processIo());
// Output that could not be written has set one already.
process.exitCode ??= code;
