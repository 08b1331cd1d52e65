import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Bulkhead, startBulkhead } from './start-bulkhead.ts';
import type { Steps } from './step-meter.ts';

const PRELOAD = pathToFileURL(fileURLToPath(new URL('./step-meter-preload.ts', import.meta.url))).href;
const ANSWER_MS = 30_000;

export type MeteredPlatform = Bulkhead &
  Readonly<{
    /** Runs the work, and says what the event loop of the platform did meanwhile. */
    measure<Result>(work: () => Promise<Result>): Promise<{ result: Result; steps: Steps }>;
    /** What part of one processor all threads of the platform take in half a second. */
    load(): Promise<number>;
  }>;

/** `bulkhead up`, all services in one process, with a step meter in it. */
export async function startMeteredPlatform(
  env: Readonly<Record<string, string>> = {},
): Promise<MeteredPlatform> {
  const bulkhead = await startBulkhead({ env: { ...env, NODE_OPTIONS: `--import ${PRELOAD}` } });
  let last = 0;

  async function ask<Answer>(command: 'start' | 'stop' | 'load'): Promise<Answer> {
    last += 1;
    const lead = `@steps ${last} `;
    const from = bulkhead.child.stderr().length;
    bulkhead.child.write(`${last} ${command}\n`);
    for (const until = performance.now() + ANSWER_MS; performance.now() < until; ) {
      const text = bulkhead.child.stderr().slice(from);
      const at = text.indexOf(lead);
      const end = at < 0 ? -1 : text.indexOf('\n', at);
      if (end >= 0) return JSON.parse(text.slice(at + lead.length, end)) as Answer;
      if (bulkhead.child.hasExited()) break;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`The step meter does not answer to ${command}.`);
  }

  return {
    ...bulkhead,
    async measure(work) {
      await ask('start');
      try {
        const result = await work();
        return { result, steps: await ask<Steps>('stop') };
      } catch (error) {
        await ask('stop').catch(() => undefined);
        throw error;
      }
    },
    load: () => ask<number>('load'),
  };
}
