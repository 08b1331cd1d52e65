import pg from 'pg';
import type { MigrationConnection } from '#app/database/migrate.ts';
import { SchemaError } from '#app/database/schema-plan.ts';

export const DATABASE_ROLES = ['bulkhead_app', 'bulkhead_tenant', 'bulkhead_system'] as const;

/**
 * Makes the roles of the schema where they are missing, and lets the login of the services act as them. Roles belong to
 * the server and not to a database, so that a dump has none: they are made before one is restored.
 */
export async function createDatabaseRoles(
  connection: MigrationConnection,
  login: string | null,
): Promise<void> {
  const [own] = await connection.query('SELECT current_user AS name');
  const owner = String(own?.name);
  for (const role of DATABASE_ROLES) {
    await ignoring(['42710', '23505'], async () => {
      const [found] = await connection.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
      if (found === undefined)
        await connection.run(`CREATE ROLE ${role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE`);
    });
    for (const member of new Set([owner, login ?? owner])) {
      const [known] = await connection.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [member]);
      if (known === undefined)
        throw new Error(
          `DATABASE_URL names the login ${member}, which the server does not have. Create it first.`,
        );
      const [is] = await connection.query(`SELECT pg_has_role($1, $2, 'MEMBER') AS member`, [member, role]);
      if (is?.member !== true) await connection.run(`GRANT ${role} TO ${pg.escapeIdentifier(member)}`);
    }
  }
}

/** What a login that owns nothing needs beside the roles: the job queue, whose tables are the owner's. */
export async function grantJobQueue(connection: MigrationConnection, login: string | null): Promise<void> {
  const [own] = await connection.query('SELECT current_user AS name');
  if (login === null || login === own?.name) return;
  const name = pg.escapeIdentifier(login);
  await connection.run(`
    GRANT USAGE ON SCHEMA pgboss TO ${name};
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA pgboss TO ${name};
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA pgboss TO ${name};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgboss TO ${name};`);
}

/**
 * A dump that was restored on a server without the roles has lost its grants and policies: rows would exist for nobody.
 * Throws `SchemaError`, before the roles are made and the loss is hidden.
 */
export async function checkPolicies({ query }: Pick<MigrationConnection, 'query'>): Promise<void> {
  const [found] = await query(`SELECT to_regclass('bulkhead.tenants') IS NOT NULL AS restored,
    EXISTS (SELECT 1 FROM pg_policies WHERE schemaname = 'bulkhead' AND tablename = 'tenants') AS policies`);
  if (found?.restored !== true || found.policies === true) return;
  throw new SchemaError(
    'incompatible',
    'The schema bulkhead has no policies: it was restored on a server without the roles. Drop the database, create it again, run `bulkhead migrate --roles`, and restore the dump.',
  );
}

async function ignoring(codes: readonly string[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code !== undefined && codes.includes(error.code)))
      throw error;
  }
}
