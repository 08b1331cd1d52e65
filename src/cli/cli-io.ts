import type { Readable, Writable } from 'node:stream';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { LineDestination } from '#observability/logger.ts';

/** A stream that may be a terminal. */
export type Output = Writable & { isTTY?: boolean; columns?: number };

/** Everything of the process that commands touch, so that tests can run them in-process. */
export type CliIo = Readonly<{
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  stdin: Readable & { isTTY?: boolean };
  stdout: Output;
  stderr: Output;
  /** Where log lines go. Unlike `stdout`, it never blocks the process on a reader that does not read. */
  logOutput(): Promise<LineDestination>;
  /** From here on the process goes on without readers of its output; until then it ends with them, as `| head` wants it. */
  outliveOutput(): void;
  /** Calls back at Ctrl-C or SIGTERM until the returned function is called; meanwhile they do not end the process. */
  onInterrupt(listener: () => void): () => void;
}>;

/** The process itself. */
export function processIo(): CliIo {
  let outlives = false;
  for (const stream of [process.stdout, process.stderr]) {
    withErrorListener(stream, (error: NodeJS.ErrnoException) => {
      if (outlives) return;
      // A reader that left is no failure.
      if (error.code === 'EPIPE') process.exit(0);
      process.exitCode = 1;
      if (stream === process.stdout)
        writeLine(process.stderr, `The output cannot be written: ${error.message}`);
    });
  }
  return {
    env: process.env,
    cwd: process.cwd(),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    // Loaded when a service logs: most commands do not.
    logOutput: async () => (await import('#observability/logger.ts')).stdoutDestination(),
    outliveOutput() {
      outlives = true;
    },
    onInterrupt(listener) {
      process.on('SIGINT', listener).on('SIGTERM', listener);
      return () => process.removeListener('SIGINT', listener).removeListener('SIGTERM', listener);
    },
  };
}

/**
 * Text as a terminal may show it: documents and answers come from others, and control characters in them
 * could move the cursor, set the title or hide text.
 */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '');

export const writeLine = (output: Output, text = ''): void => {
  output.write(`${text}\n`);
};

/** The machine-readable form of a result: what the server said, one JSON document. */
export const writeJson = (output: Output, value: unknown): void =>
  writeLine(output, JSON.stringify(value, null, output.isTTY === true ? 2 : undefined));
