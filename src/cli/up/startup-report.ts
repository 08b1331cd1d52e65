import { type Output, writeLine } from '#cli/cli-io.ts';

export type StartupReport = {
  /** Runs a step of the start; says how long it took, and on a terminal that it is under way. */
  step<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  line(text?: string): void;
};

/** Tells people how the start goes. Quick steps need no line. */
export function createStartupReport(output: Output, options: { quickMs?: number } = {}): StartupReport {
  const { quickMs = 300 } = options;
  const tty = output.isTTY === true;
  const underWay = new Set<string>();
  const clear = () => {
    if (tty) output.write('\r\u001b[2K');
  };
  const show = () => {
    if (tty && underWay.size > 0) output.write(`Starting: ${[...underWay].join(', ')} …`);
  };
  return {
    async step(name, work) {
      const started = performance.now();
      underWay.add(name);
      clear();
      show();
      try {
        return await work();
      } finally {
        underWay.delete(name);
        clear();
        const took = performance.now() - started;
        if (took >= quickMs) writeLine(output, `${name}: ${(took / 1000).toFixed(1)} s`);
        show();
      }
    },
    line(text = '') {
      clear();
      writeLine(output, text);
      show();
    },
  };
}
