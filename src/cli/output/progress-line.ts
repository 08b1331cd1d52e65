import { type Output, printable } from '#cli/cli-io.ts';

export type Progress = { done: number; total: number; text: string };

export type ProgressLine = {
  /** Replaces the bar. Without a terminal it writes nothing: only lines that stay are written there. */
  update(progress: Progress): void;
  /** Writes a line that stays, above the bar. */
  log(text: string): void;
  /** Removes the bar. */
  end(): void;
};

const BAR_WIDTH = 24;

export function renderBar({ done, total, text }: Progress, columns: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  const line = `${bar} ${String(Math.floor(share * 100)).padStart(3)}%  ${printable(text)}`;
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;
}

/** A progress bar that stays at the bottom while lines are written above it. */
export function createProgressLine(output: Output): ProgressLine {
  const tty = output.isTTY === true;
  let shown = '';
  const clear = () => {
    if (shown !== '') output.write('\r\u001b[2K');
  };
  return {
    update(progress) {
      if (!tty) return;
      const bar = renderBar(progress, output.columns ?? 80);
      if (bar === shown) return;
      clear();
      output.write(bar);
      shown = bar;
    },
    log(text) {
      clear();
      output.write(`${printable(text)}\n`);
      if (shown !== '') output.write(shown);
    },
    end() {
      clear();
      shown = '';
    },
  };
}
