import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

export type ChildService = Readonly<{
  name: string;
  pid: number;
  /** Everything it has printed so far. */
  stdout(): string;
  stderr(): string;
  /** Writes to its standard input. */
  write(text: string): void;
  /** Its exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
  hasExited(): boolean;
  /** Asks it to stop (SIGTERM), and kills it after `graceMs`. Resolves when it is gone. */
  stop(graceMs?: number): Promise<void>;
  /** As Ctrl-C in a terminal does: SIGINT to it and to all that it started. Throws when it is not gone in time. */
  interrupt(graceMs?: number): Promise<void>;
  /** `kill -9`, as a power cut would. Resolves when it is gone. */
  kill(): Promise<void>;
}>;

export type ChildServiceOptions = {
  name: string;
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
};

const running = new Set<ChildProcess>();
// Whatever ends this process must not leave servers behind.
process.on('exit', () => {
  for (const child of running) killGroup(child);
});

/** Kills the child and all that it started: they are a process group of their own. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

/** Starts a server that is ours to stop. It gets a process group of its own: a terminal's Ctrl-C is for us. */
export function startChildService(options: ChildServiceOptions): ChildService {
  const { name, command, args, env, cwd, uid, gid } = options;
  const child = spawn(command, args, {
    // Its input stays open as long as we live: a server may end when it closes.
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  running.add(child);
  const texts = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    texts.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    texts.stderr += text;
  });
  let ended: number | NodeJS.Signals | undefined;
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    const finish = (how: number | NodeJS.Signals) => {
      running.delete(child);
      ended ??= how;
      resolve(ended);
    };
    child.once('error', (error) => {
      texts.stderr += `\n${error.message}`;
      finish(127);
    });
    // `close`, not `exit`: everything that it printed has been read by then.
    child.once('close', (code, signal) => finish(signal ?? code ?? 1));
  });

  return {
    name,
    pid: child.pid ?? 0,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    write: (text) => void child.stdin.write(text),
    exited,
    hasExited: () => ended !== undefined,
    async stop(graceMs = 15_000) {
      if (ended !== undefined) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => killGroup(child), graceMs);
      await exited;
      clearTimeout(timer);
    },
    async interrupt(graceMs = 15_000) {
      if (ended !== undefined || child.pid === undefined) return;
      process.kill(-child.pid, 'SIGINT');
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        killGroup(child);
      }, graceMs);
      await exited;
      clearTimeout(timer);
      if (isLate) throw new Error(`${name} was still running ${graceMs} ms after Ctrl-C.`);
    },
    async kill() {
      killGroup(child);
      await exited;
    },
  };
}

/** Tries `check` until it gives a value. Throws with the end of the service's output when it exits or takes too long. */
export async function untilReady<Result>(
  service: ChildService,
  check: () => Promise<Result | undefined>,
  timeoutMs: number,
): Promise<Result> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline && !service.hasExited()) {
    try {
      const result = await check();
      if (result !== undefined) return result;
    } catch (error) {
      last = error;
    }
    await delay(50);
  }
  const how = service.hasExited()
    ? `ended (${await service.exited})`
    : `was not ready within ${timeoutMs} ms${last instanceof Error ? ` (${last.message})` : ''}`;
  const output = `${service.stdout()}\n${service.stderr()}`.trim().slice(-4_000);
  await service.kill();
  throw new Error(`${service.name} ${how}. It said:\n${output}`);
}
