import type { BackupProgress } from '#cli/backup/create-backup.ts';
import type { CliIo } from '#cli/cli-io.ts';
import { createStartupReport } from '#cli/up/startup-report.ts';

const REDRAW_MS = 200;
/** Where nobody watches. */
const LINE_MS = 10_000;

/** On a terminal one line that changes, elsewhere a line for each part and every ten seconds. */
export function backupProgress(io: Pick<CliIo, 'stderr'>): { report: BackupProgress; end(): void } {
  const report = createStartupReport(io.stderr);
  const interval = io.stderr.isTTY === true ? REDRAW_MS : LINE_MS;
  let lastPart = '';
  let lastAt = Number.NEGATIVE_INFINITY;
  return {
    report({ part, files, bytes }) {
      const now = performance.now();
      if (part === lastPart && now - lastAt < interval) return;
      lastPart = part;
      lastAt = now;
      const text = `${part}: ${files} files, ${formatBytes(bytes)} so far …`;
      if (io.stderr.isTTY === true) report.status(text);
      else report.line(text);
    },
    end: () => report.status(''),
  };
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return bytes < 1_000_000_000
    ? `${(bytes / 1_000_000).toFixed(1)} MB`
    : `${(bytes / 1_000_000_000).toFixed(2)} GB`;
}
