import { workerData } from 'node:worker_threads';

/**
 * A thread beside a parser, which may be stuck in a loop. It ends the process when its memory is above the
 * limit (V8's own limit leaves array buffers out, which is where inflated PDF streams are), and when the host
 * is gone and nobody would end it otherwise.
 */

const CHECK_EVERY_MS = 50;

const { maxResidentMb, hostProcessId }: { maxResidentMb: number; hostProcessId: number } = workerData;

setInterval(() => {
  const isTooLarge = process.memoryUsage.rss() > maxResidentMb * 1_048_576;
  if (isTooLarge || process.ppid !== hostProcessId) process.kill(process.pid, 'SIGKILL');
}, CHECK_EVERY_MS);
