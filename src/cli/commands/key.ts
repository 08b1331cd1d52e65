import { type Command, Option } from 'commander';
import { apiKeyPageSchema, apiKeySchema, createdApiKeySchema, keyIdSchema } from '#app/schemas/api-key.ts';
import { SCOPES, TENANT_ROLES } from '#app/tenant-context.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId } from '#cli/commands/checked-tenant-id.ts';
import { checkedTime } from '#cli/commands/checked-time.ts';
import { positiveInteger } from '#cli/commands/positive-integer.ts';
import { readAllPages } from '#cli/commands/read-all-pages.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

type CreateOptions = ConnectionOptions & {
  user: string;
  role?: string;
  scopes?: string;
  models?: string;
  collections?: string;
  from?: string;
  name?: string;
  expires?: string;
};

/** `key create|list|revoke`: the operator's, or with `--key` a tenant admin's for the own tenant. */
export function addKeyCommands(program: Command, io: CliIo): void {
  const key = program.command('key').description('manage API keys (operator, or the tenant’s admin)');

  withConnection(key.command('create <tenant>'), 'operator')
    .description('create an API key; it is shown this once')
    .requiredOption('--user <user>', 'user whom the key speaks for')
    .addOption(new Option('--role <role>', 'what the user may be').choices(TENANT_ROLES).default('member'))
    .option('--scopes <scopes>', `fewer than the role has, with commas between: ${SCOPES.join(',')}`)
    .option('--models <models>', 'models that it may use, with commas between; default: all of the tenant’s')
    .option(
      '--collections <names>',
      'document collections that it may use, with commas between; default: all',
    )
    .option('--from <ranges>', 'where it may be used from, with commas between: 10.0.0.0/8,2001:db8::/32')
    .option('--name <name>', 'what to call it in lists')
    .option('--expires <time>', 'when it ends: 2027-01-31 or 2027-01-31T12:00:00Z', checkedTime)
    .action(async (tenant: string, options: CreateOptions) => {
      const tenantId = checkedTenantId(tenant);
      const json = {
        role: options.role,
        user_id: options.user,
        ...(options.scopes === undefined ? {} : { scopes: listOf(options.scopes) }),
        ...(options.models === undefined ? {} : { models: listOf(options.models) }),
        ...(options.collections === undefined ? {} : { collections: listOf(options.collections) }),
        ...(options.from === undefined ? {} : { ip_ranges: listOf(options.from) }),
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.expires === undefined ? {} : { expires_at: options.expires }),
      };
      const api = await connect(io, options, 'operator');
      const created = await api.request(`/admin/tenants/${tenantId}/keys`, createdApiKeySchema, {
        method: 'POST',
        json,
      });
      if (options.json === true) return writeJson(io.stdout, created);
      writeLine(io.stderr, `Key ${created.key_id} of ${tenant}/${created.user_id ?? ''} (${created.role}):`);
      writeLine(io.stdout, created.api_key);
      writeLine(io.stderr, 'It is shown this once; only a hash of it is stored.');
    });

  withConnection(key.command('list <tenant>'), 'operator')
    .description('list a tenant’s keys, without their secrets')
    .action(async (tenant: string, options: ConnectionOptions) => {
      const path = `/admin/tenants/${checkedTenantId(tenant)}/keys`;
      const api = await connect(io, options, 'operator');
      const keys = await readAllPages(api, path, apiKeyPageSchema, ({ key_id }) => key_id);
      if (options.json === true) return writeJson(io.stdout, { object: 'list', data: keys });
      const rows = keys.map(({ key_id, user_id, role, name, revoked_at, expires_at, last_used_at }) => [
        key_id,
        user_id ?? '',
        role,
        name,
        stateOf({ revoked_at, expires_at }),
        last_used_at ?? 'never',
      ]);
      writeLine(io.stdout, renderTable(['key', 'user', 'role', 'name', 'state', 'last used'], rows));
    });

  withConnection(key.command('rotate <tenant> <key-id>'), 'operator')
    .description('give a key a new secret; the new key is shown this once')
    .option('--overlap <seconds>', 'how long the old secret still works', positiveInteger)
    .action(async (tenant: string, keyId: string, options: ConnectionOptions & { overlap?: number }) => {
      const api = await connect(io, options, 'operator');
      const rotated = await api.request(
        `/admin/tenants/${checkedTenantId(tenant)}/keys/${checkedKeyId(tenant, keyId)}/rotate`,
        createdApiKeySchema,
        { method: 'POST', json: options.overlap === undefined ? {} : { overlap_seconds: options.overlap } },
      );
      if (options.json === true) return writeJson(io.stdout, rotated);
      const until = rotated.previous_secret_until;
      writeLine(
        io.stderr,
        `The old secret ${until === null ? 'has ended' : `works until ${until}`}. The new key:`,
      );
      writeLine(io.stdout, rotated.api_key);
      writeLine(io.stderr, 'It is shown this once; only a hash of it is stored.');
    });

  withConnection(key.command('revoke <tenant> <key-id>'), 'operator')
    .description('revoke a key; it stops at once on this server and within seconds on its replicas')
    .action(async (tenant: string, keyId: string, options: ConnectionOptions) => {
      const id = checkedKeyId(tenant, keyId);
      const api = await connect(io, options, 'operator');
      const revoked = await api.request(
        `/admin/tenants/${checkedTenantId(tenant)}/keys/${id}`,
        apiKeySchema,
        {
          method: 'DELETE',
        },
      );
      if (options.json === true) return writeJson(io.stdout, revoked);
      writeLine(io.stdout, `Key ${revoked.key_id} is revoked.`);
    });
}

const listOf = (text: string): string[] => text.split(',').map((item) => item.trim());

/** The public half, of which the whole key will do as well. */
function checkedKeyId(tenant: string, text: string): string {
  const id = /^bk_([0-9a-z]{26})_/.exec(text)?.[1] ?? text;
  if (keyIdSchema.safeParse(id).success) return id;
  throw new CliError(`That is no key id: see \`bulkhead key list ${tenant}\`.`, { exitCode: EXIT.usage });
}

function stateOf(key: { revoked_at: string | null; expires_at: string | null }): string {
  if (key.revoked_at !== null) return `revoked ${key.revoked_at}`;
  if (key.expires_at === null) return 'live';
  return Date.parse(key.expires_at) <= Date.now() ? `expired ${key.expires_at}` : `until ${key.expires_at}`;
}
