import { getConstructionPlans, getMigrationPlans } from 'pg-boss';
import type { MigrationConnection } from '#app/database/migrate.ts';
import { splitStatements } from '#app/database/split-statements.ts';

/**
 * Version of the schema `pgboss` that the installed pg-boss works on; a test compares it with the package. pg-boss
 * accepts a later one. Before a release raises this number, check that the pg-boss of the version before works on the
 * new schema (`test/integration/side-by-side.test.ts`): it is a contraction otherwise.
 */
export const JOB_QUEUE_LEVEL = 46;

/** null: the schema is not there. */
export async function readJobQueueLevel({
  query,
}: Pick<MigrationConnection, 'query'>): Promise<number | null> {
  const [found] = await query(`SELECT to_regclass('pgboss.version') IS NOT NULL AS found`);
  if (found?.found !== true) return null;
  const [row] = await query('SELECT max(version) AS version FROM pgboss.version');
  return row?.version === null || row?.version === undefined ? null : Number(row.version);
}

/** Makes or upgrades the job queue's schema. pg-boss's own statements begin and commit a transaction. */
export async function migrateJobQueue(connection: Pick<MigrationConnection, 'run' | 'query'>): Promise<void> {
  const level = await readJobQueueLevel(connection);
  if (level !== null && level >= JOB_QUEUE_LEVEL) return;
  if (level === null) {
    await connection.run(getConstructionPlans('pgboss'));
    return;
  }
  const plans = getMigrationPlans('pgboss', level);
  // Indexes that are built concurrently stand behind the transaction, and each must be sent by itself.
  const end = plans.lastIndexOf('COMMIT;') + 'COMMIT;'.length;
  await connection.run(plans.slice(0, end));
  for (const statement of splitStatements(plans.slice(end))) await connection.run(statement);
}
