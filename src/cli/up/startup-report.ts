import { type Output, printable, writeLine } from '#cli/cli-io.ts';

export type StartupReport = {
  /** Runs a step of the start; says how long it took, and on a terminal that it is under way. */
  step<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  /** Writes a line that stays. */
  line(text?: string): void;
  /** On a terminal, the line at the bottom that changes; empty removes it. */
  status(text: string): void;
};

/** Tells people how the start goes. Quick steps need no line. */
export function createStartupReport(output: Output, options: { quickMs?: number } = {}): StartupReport {
  const { quickMs = 300 } = options;
  const tty = output.isTTY === true;
  const underWay = new Set<string>();
  let bottom = '';

  const redraw = (line?: string) => {
    if (tty) output.write('\r\u001b[2K');
    if (line !== undefined) writeLine(output, printable(line));
    const shown = underWay.size > 0 ? `Starting: ${[...underWay].join(', ')} …` : bottom;
    if (tty && shown !== '') output.write(printable(shown).slice(0, (output.columns ?? 80) - 1));
  };
  return {
    async step(name, work) {
      const started = performance.now();
      underWay.add(name);
      redraw();
      try {
        const result = await work();
        underWay.delete(name);
        const took = performance.now() - started;
        redraw(took < quickMs ? undefined : `${name}: ${(took / 1000).toFixed(1)} s`);
        return result;
      } catch (error) {
        underWay.delete(name);
        redraw();
        throw error;
      }
    },
    line: (text = '') => redraw(text),
    status(text) {
      bottom = text;
      redraw();
    },
  };
}
