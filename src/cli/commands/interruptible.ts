import { isAbort } from '#app/errors/bulkhead-error.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import type { CliIo } from '#cli/cli-io.ts';

/** Runs work that Ctrl-C aborts; then the command ends as an interrupted one. */
export async function interruptible<Result>(
  io: CliIo,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const stopListening = io.onInterrupt(() => controller.abort());
  try {
    return await work(controller.signal);
  } catch (error) {
    if (controller.signal.aborted && isAbort(error)) {
      throw new CliError('Stopped.', { exitCode: EXIT.interrupted, cause: error });
    }
    throw error;
  } finally {
    stopListening();
  }
}
