import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { type ApiClient, createApiClient } from '#cli/api-client.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import type { CliIo } from '#cli/cli-io.ts';
import { type DemoFile, demoFileIn, readDemoFile } from '#cli/demo-file.ts';
import { readServerUrl } from '#cli/server-file.ts';

/** Which of a demo tenant's keys a command needs, or the operator's. */
export type KeyKind = 'member' | 'admin' | 'operator';

export type ConnectionOptions = { url?: string; key?: string; as?: string; dataDir?: string; json?: boolean };

const DEFAULT_DATA_DIRECTORY = '.bulkhead';

const KEY_HELP = {
  tenant: 'API key (default: BULKHEAD_API_KEY, or the demo tenant’s)',
  operator: 'operator’s key (default: BULKHEAD_OPERATOR_KEY, or the one of the data directory)',
  stranger: 'API key or token of who accepts (default: none)',
};

/** Adds the options that every command which speaks to a server has. */
export function withConnection(command: Command, kind: 'tenant' | 'operator' | 'stranger'): Command {
  command
    .option('--url <url>', 'server to speak to (default: BULKHEAD_URL, or the one that runs here)')
    .option('--key <key>', KEY_HELP[kind])
    .option('--data-dir <directory>', 'data directory of the server that runs here (default: .bulkhead)')
    .option('--json', 'print JSON for machines');
  if (kind === 'tenant') {
    command.option('--tenant <tenant>', 'demo tenant to speak as: acme or globex (default: the first)');
  }
  return command;
}

/** A server, and as whom to speak to it. */
export type Connection = ApiClient & { readonly key: string };

export type TenantConnectionOptions = ConnectionOptions & { tenant?: string };

/** Finds server and key: options first, then the environment, then what `up` left in the data directory. */
export async function connect(
  io: CliIo,
  options: TenantConnectionOptions,
  kind: KeyKind,
): Promise<Connection> {
  const { directory, demo, url, here, isHere } = await findServer(io, options);
  const elsewhere =
    isHere || here === undefined
      ? undefined
      : `The keys in ${directory} are of ${here}, and go to no other server.`;
  const demoKeys = isHere ? demo : null;
  const key =
    kind === 'operator'
      ? (options.key ??
        present(io.env.BULKHEAD_OPERATOR_KEY) ??
        present(io.env.OPERATOR_KEY) ??
        demoKeys?.operator_key ??
        (isHere ? await operatorKeyOf(directory) : undefined))
      : (options.key ??
        (options.tenant === undefined ? present(io.env.BULKHEAD_API_KEY) : undefined) ??
        (elsewhere === undefined ? demoKey(demoKeys, options.tenant, kind, directory) : undefined));
  if (key === undefined) {
    throw new CliError(
      kind === 'operator'
        ? `No operator’s key: give --key or BULKHEAD_OPERATOR_KEY. ${elsewhere ?? `Nothing was found in ${directory}; is it the server’s data directory?`}`
        : `No API key: give --key${options.tenant === undefined ? ' or BULKHEAD_API_KEY' : ''}. ${elsewhere ?? `There is no demo tenant in ${demoFileIn(directory)}; has the server been started here (npm start)?`}`,
      { exitCode: EXIT.usage },
    );
  }
  return { ...createApiClient({ url, key }), url, key };
}

/** The same with the key that was named, or none at all: no other key of this machine is sent. */
export async function connectAsStranger(io: CliIo, options: ConnectionOptions): Promise<ApiClient> {
  const { url } = await findServer(io, options);
  return createApiClient({ url, key: options.key ?? null });
}

async function findServer(io: CliIo, options: ConnectionOptions) {
  const directory = resolve(
    io.cwd,
    options.dataDir ?? present(io.env.BULKHEAD_DATA_DIR) ?? DEFAULT_DATA_DIRECTORY,
  );
  const demo = await readDemoFile(directory);
  const here = (await readServerUrl(directory)) ?? demo?.url;
  const port = present(io.env.PORT) ?? '8080';
  const named = options.url ?? present(io.env.BULKHEAD_URL) ?? here ?? `http://127.0.0.1:${port}`;
  if (!/^https?:\/\//.test(named) || !URL.canParse(named)) {
    throw new CliError(`${named} is no URL of a server. An example: http://127.0.0.1:8080`, {
      exitCode: EXIT.usage,
    });
  }
  const url = named.replace(/\/+$/, '');
  // Keys of the server that runs here are never sent to another one.
  return { directory, demo, url, here, isHere: url === here };
}

function demoKey(
  demo: DemoFile | null,
  tenant: string | undefined,
  kind: 'member' | 'admin',
  directory: string,
): string | undefined {
  const found =
    tenant === undefined ? demo?.tenants[0] : demo?.tenants.find(({ tenant_id }) => tenant_id === tenant);
  if (found === undefined && tenant !== undefined) {
    const known = demo?.tenants.map(({ tenant_id }) => tenant_id).join(', ') ?? '';
    throw new CliError(
      `--tenant ${tenant}: there is no such demo tenant in ${demoFileIn(directory)}${known === '' ? '' : ` (there is: ${known})`}. For other tenants, give --key.`,
      { exitCode: EXIT.usage },
    );
  }
  return kind === 'admin' ? found?.admin_key : found?.api_key;
}

/** With BULKHEAD_DEMO=off there is no demo.json, but the operator's key is among the secrets all the same. */
async function operatorKeyOf(directory: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(directory, 'secrets.json'), 'utf8');
    return z.object({ operator_key: z.string() }).parse(JSON.parse(text)).operator_key;
  } catch {
    return undefined;
  }
}

const present = (value: string | undefined): string | undefined =>
  value === undefined || value.trim() === '' ? undefined : value;
