import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type ChildService, startChildService, untilReady } from './child-service.ts';
import { cleanEnvironment } from './start-bulkhead.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS = 120_000;
const listeningSchema = z.looseObject({ event: z.literal('listening'), url: z.url() });

export type ServiceName = 'router' | 'orchestrator' | 'rag';
export type ServiceProcess = Readonly<{ child: ChildService; url: string }>;

/** Starts `src/<service>/main.ts`; `onSpawn` gets the process before it listens. Resolves with its address. */
export async function startServiceProcess(options: {
  service: ServiceName;
  cwd: string;
  env: Readonly<Record<string, string>>;
  /** The sources of another version. Default: this one’s. */
  root?: string;
  onSpawn?(child: ChildService): void;
}): Promise<ServiceProcess> {
  const { service, cwd, env, root = ROOT, onSpawn } = options;
  const child = startChildService({
    name: service,
    command: process.execPath,
    args: [join(root, 'src', service, 'main.ts')],
    cwd,
    env: cleanEnvironment(env),
  });
  onSpawn?.(child);
  return { child, url: await untilReady(child, async () => listeningUrl(child.stdout()), START_MS) };
}

/** The address in the log line that says that the service listens. */
function listeningUrl(log: string): string | undefined {
  for (const line of log.split('\n').filter((text) => text.includes('"listening"'))) {
    const parsed = listeningSchema.safeParse(JSON.parse(line));
    if (parsed.success) return parsed.data.url;
  }
  return undefined;
}
