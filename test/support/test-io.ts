import { PassThrough, Writable } from 'node:stream';
import type { CliIo, Output } from '#cli/cli-io.ts';

export type TestIo = CliIo & { out(): string; err(): string; interrupt(): void };

/** Streams in memory instead of a terminal. For tests. */
export function createTestIo(
  options: { env?: Record<string, string>; cwd?: string; stdin?: string; tty?: boolean } = {},
): TestIo {
  const texts = { stdout: '', stderr: '' };
  const output = (name: keyof typeof texts): Output =>
    Object.assign(
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          texts[name] += chunk.toString('utf8');
          done();
        },
      }),
      { isTTY: options.tty ?? false, columns: 80 },
    );
  const stdout = output('stdout');
  const stdin = new PassThrough();
  stdin.end(options.stdin ?? '');
  const listeners = new Set<() => void>();
  return {
    env: options.env ?? {},
    cwd: options.cwd ?? process.cwd(),
    stdin,
    stdout,
    stderr: output('stderr'),
    logOutput: async () => stdout,
    outliveOutput() {},
    onInterrupt(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    out: () => texts.stdout,
    err: () => texts.stderr,
    interrupt() {
      for (const listener of listeners) listener();
    },
  };
}
