import { readFile } from 'node:fs/promises';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Logger } from '#observability/logger.ts';
import { decodeLine, type LogEntry } from '#router/ledger/log/log-line.ts';

/** Lines that are decoded before other work gets its turn. */
const SLICE = 500;

/**
 * What a segment says, in order. The line that a kill or a full disk cut off is left out: nobody was told that it is
 * written. A line that is whole and not understood was written by another version: it is logged in full.
 */
export async function* readSegment(path: string, logger: Logger): AsyncGenerator<LogEntry, void> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  for (const [index, line] of lines.entries()) {
    if (index % SLICE === SLICE - 1) await yieldToOthers();
    if (line === '') continue;
    const decoded = decodeLine(line);
    if (decoded.kind === 'entry') yield decoded.entry;
    else if (decoded.kind === 'unknown') {
      logger.error(
        { event: 'usage_log_line_unknown', path, line },
        'a line of the usage log is not understood',
      );
    } else {
      logger.warn(
        { event: 'usage_log_line_torn', path, line: index + 1 },
        'a line of the usage log is cut off',
      );
    }
  }
}
