import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createdApiKeySchema } from '#app/schemas/api-key.ts';
import { loadSettings } from '#app/settings/load-settings.ts';
import { runCli } from '#cli/run-cli.ts';
import { type Platform, startPlatform } from '#cli/up/start-platform.ts';
import { createStartupReport } from '#cli/up/startup-report.ts';
import { silentLogger } from '#observability/logger.ts';
import { createTestIo } from './test-io.ts';

export type CliPlatform = Readonly<{
  platform: Platform;
  /** The working directory of the commands. */
  root: string;
  /** The platform's data directory, which the commands know. */
  data: string;
  /** One command against the platform: its exit code and what it printed. */
  cli(
    args: readonly string[],
    options?: { env?: Record<string, string>; stdin?: string },
  ): Promise<{ code: number; out: string; err: string }>;
  /** A new API key, made by a command. */
  createKey(tenant: string, user: string, role?: string): Promise<string>;
  stop(): Promise<void>;
}>;

/** The real platform in this process, and the real commands against it. */
export async function startCliPlatform(): Promise<CliPlatform> {
  const root = await mkdtemp(join(tmpdir(), 'bulkhead-cli-'));
  const data = join(root, 'data');
  const platform = await startPlatform({
    settings: { ...loadSettings({ PORT: '0', BULKHEAD_DEMO: 'off' }), BULKHEAD_DATA_DIR: data },
    report: createStartupReport(createTestIo().stderr),
    observability: { loggerOf: () => silentLogger, close: async () => {} },
    signal: new AbortController().signal,
  });
  const cli: CliPlatform['cli'] = async (args, options = {}) => {
    const io = createTestIo({
      cwd: root,
      env: { BULKHEAD_DATA_DIR: data, ...options.env },
      stdin: options.stdin ?? '',
    });
    const code = await runCli(args, io);
    return { code, out: io.out(), err: io.err() };
  };
  return {
    platform,
    root,
    data,
    cli,
    async createKey(tenant, user, role = 'member') {
      const { code, out, err } = await cli([
        'key',
        'create',
        tenant,
        '--user',
        user,
        '--role',
        role,
        '--json',
      ]);
      if (code !== 0) throw new Error(`The key was not created: ${err}`);
      return createdApiKeySchema.parse(JSON.parse(out)).api_key;
    },
    async stop() {
      await platform.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}
