/** What the exit code says. 2 is what commander itself uses nowhere else: a wrong command line. 3 and 4 are `migrate`’s. */
export const EXIT = { ok: 0, failed: 1, usage: 2, pending: 3, incompatible: 4, interrupted: 130 } as const;

/** A failure that is shown as its message alone: it says what went wrong and what to do about it. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? EXIT.failed;
  }
}
