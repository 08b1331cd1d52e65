import { environmentFault } from '#app/faults/environment-fault.ts';

type Report = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** As `node:process` has them; tests pass an emitter of their own. */
type FaultSource = {
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown;
  off(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown;
};

/**
 * Decides what a process does about errors that nothing caught; returns a function that ends it.
 *
 * - A rejected promise that nothing waits for changed nothing that a request depends on: it is logged.
 * - An uncaught fault of the environment (a socket, disk or database whose emitter had no listener) is logged: its user meets
 *   it where it waits.
 * - Anything else uncaught leaves this process in an unknown state. It stops as it does at SIGTERM, so that answers under way
 *   and their ledger rows are finished, and exits with code 1 to be started again.
 */
export function watchProcessFaults(options: {
  source?: FaultSource;
  report: Report;
  /** Finishes what is under way. */
  stop: () => Promise<void>;
  exit?: (code: number) => void;
}): () => void {
  const { source = process, report, stop, exit = (code) => process.exit(code) } = options;
  let stopping = false;

  const onRejection = (error: unknown) =>
    report(
      { event: 'unhandled_rejection', metric: 'UnhandledErrors', value: 1, err: error },
      'a rejected promise was not handled',
    );

  const onException = (error: unknown) => {
    if (environmentFault(error) !== null) {
      report(
        { event: 'unhandled_fault', metric: 'UnhandledErrors', value: 1, err: error },
        'an error event was not handled',
      );
      return;
    }
    report(
      { event: 'uncaught_exception', metric: 'UnhandledErrors', value: 1, err: error },
      'an exception was not caught: this process finishes what is under way and exits',
    );
    if (stopping) return;
    stopping = true;
    stop().then(
      () => exit(1),
      () => exit(1),
    );
  };

  source.on('unhandledRejection', onRejection);
  source.on('uncaughtException', onException);
  return () => {
    source.off('unhandledRejection', onRejection);
    source.off('uncaughtException', onException);
  };
}
