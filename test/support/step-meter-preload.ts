import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { startStepMeter } from './step-meter.ts';

/** What it writes to standard error begins with this, then the number of the command and its answer as JSON. */
const MARK = '@steps ';

/**
 * Loaded into a service with `--import`, it obeys lines on standard input: `<number> start`, `<number> stop`, and
 * `<number> load`, which answers what part of one processor all threads of the process take in half a second.
 */
if (isMainThread && process.argv[1]?.includes('cli/main')) {
  let meter = startStepMeter();
  void meter.stop();
  const answer = (id: string, value: unknown) =>
    process.stderr.write(`${MARK}${id} ${JSON.stringify(value)}\n`);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [id = '', command] = line.split(' ');
    if (command === 'start') {
      meter = startStepMeter();
      answer(id, null);
    } else if (command === 'stop') void meter.stop().then((steps) => answer(id, steps));
    else if (command === 'load') void loadOfProcess().then((load) => answer(id, load));
  });
  // The service ends when it is told to, whether anything may still be written here or not.
  if ('unref' in process.stdin) process.stdin.unref();
}

async function loadOfProcess(): Promise<number> {
  const before = process.cpuUsage();
  const began = performance.now();
  await delay(500);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / (performance.now() - began);
}
