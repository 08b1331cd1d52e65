import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '#app/data-directory/code-of.ts';
import type { RagService } from '#app/services/rag-service.ts';
import { createTestRag, finished, type TestRag, uploadText } from './create-test-rag.ts';
import { createRouterFixture } from './router-fixture.ts';
import { testContext } from './test-context.ts';

type Method = 'GET' | 'POST' | 'DELETE' | 'PATCH';

/** A column of a table with rows of tenants. */
type Column = { name: string; type: string; isNeeded: boolean };

/** A router and a real RAG service on one database, and tenants whose mark is in every table and directory. */
export async function createPlantedTenants(wrapRag: (service: RagService) => RagService = (rag) => rag) {
  const testRag: TestRag = await createTestRag([]);
  if (testRag.open.jobs.kind !== 'pglite') throw new Error('The test database is not PGlite.');
  const superuser = testRag.open.jobs.pglite;
  const rag = wrapRag(testRag.current().service);
  const fixture = await createRouterFixture({ database: testRag.open.database, rag });

  async function call(method: Method, url: string, headers: object, payload?: object) {
    const response = await fixture.app.inject({
      method,
      url,
      headers: { ...headers },
      ...(payload === undefined ? {} : { payload }),
    });
    return { status: response.statusCode, body: response.json() };
  }

  async function keyFor(tenant: string, user: string, role: string, scopes?: readonly string[]) {
    const url = `/admin/tenants/${tenant}/keys`;
    const { body } = await call('POST', url, fixture.operator, {
      user_id: user,
      role,
      name: `${user} key`,
      ...(scopes === undefined ? {} : { scopes }),
    });
    return { authorization: `Bearer ${body.api_key}` };
  }

  /** Tables with a `tenant_id`, as the catalogue has them: later tables are among them by themselves. */
  async function tenantTables(): Promise<string[]> {
    const { rows } = await superuser.query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = 'bulkhead' AND column_name = 'tenant_id' AND table_type = 'BASE TABLE'
          AND NOT (SELECT relispartition FROM pg_class WHERE oid = (quote_ident(table_schema) || '.' || quote_ident(table_name))::regclass)
        ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  }

  /** A row with the mark in a table that no endpoint of this test fills: its needed columns, by their types. */
  async function insertRow(table: string, tenant: string, mark: string): Promise<void> {
    const { rows: columns } = await superuser.query<Column>(
      `SELECT column_name AS name, data_type AS type, is_nullable = 'NO' AND column_default IS NULL AS "isNeeded"
         FROM information_schema.columns WHERE table_schema = 'bulkhead' AND table_name = $1 AND is_generated = 'NEVER'`,
      [table],
    );
    const isText = ({ type }: Column) => type === 'text' || type === 'character varying';
    const filled = columns.filter(
      (column) => column.isNeeded || isText(column) || column.name === 'tenant_id',
    );
    const sampleOf = (column: Column): unknown => {
      if (column.name === 'tenant_id') return tenant;
      if (isText(column)) return mark;
      if (/json/.test(column.type)) return JSON.stringify({ mark });
      // Not today: the ledger has sums of this tenant under the first day of the current month.
      if (column.type === 'date') return '2001-02-03';
      if (/timestamp/.test(column.type)) return new Date().toISOString();
      if (column.type === 'boolean') return true;
      if (column.type === 'ARRAY') return '{}';
      return 1;
    };
    const names = filled.map(({ name }) => `"${name}"`).join(', ');
    const places = filled.map((_, index) => `$${index + 1}`).join(', ');
    try {
      await superuser.query(
        `INSERT INTO bulkhead.${table} (${names}) VALUES (${places})`,
        filled.map(sampleOf),
      );
    } catch (error) {
      throw new Error(
        `plant() in planted-tenants.ts puts nothing into ${table}: insert a row with the mark there.`,
        {
          cause: error,
        },
      );
    }
  }

  /** A tenant with its mark in every table and directory, and its admin's credential. */
  async function plant(tenant: string, mark: string) {
    const config = {
      tenant_id: tenant,
      display_name: mark,
      refusal_rules: [{ name: mark, phrases: [mark] }],
      request_log: { bodies: 'redacted' },
    };
    const created = await call('POST', '/admin/tenants', fixture.operator, config);
    if (created.status !== 201) throw new Error(JSON.stringify(created.body));
    const admin = await keyFor(tenant, mark, 'admin');
    await call('PATCH', `/admin/tenants/${tenant}`, admin, { blocked_tools: [mark] });
    const members = `/admin/tenants/${tenant}/members`;
    await call('POST', members, admin, { user_id: `member-${mark}` });
    await call('POST', `${members}/invitations`, admin, { user_id: `guest-${mark}` });
    const context = testContext(tenant, mark);
    const { service } = testRag.current();
    const upload = { filename: `${mark}.md`, title: mark };
    const document = await uploadText(service, context, `# About ${mark}\n\nThe word is ${mark}.`, upload);
    const indexed = await finished(service, context, document.document_id);
    if (indexed.status !== 'ready') throw new Error(JSON.stringify(indexed));
    await testRag.open.database.asUser(context, async (transaction) => {
      await transaction.query(
        `INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title) VALUES ($1, $2, $3, $3)`,
        [tenant, `conv-${mark}`, mark],
      );
      await transaction.query(
        `INSERT INTO bulkhead.messages (tenant_id, conversation_id, message_id, user_id, ordinal, role, content, request_id)
         VALUES ($1, $2, $2, $3, 0, 'user', $3, 'r')`,
        [tenant, `conv-${mark}`, mark],
      );
    });
    // Refused by the rule above: its text is kept in the request log, and the audit names the user.
    const refused = await call('POST', '/v1/chat', admin, { message: `tell me of ${mark}` });
    if (refused.status !== 403) throw new Error(JSON.stringify(refused.body));
    await call('POST', '/admin/tenants', admin, { tenant_id: 'x', display_name: 'x' });
    // What is written in the background.
    const isThere = async (table: string) => (await tablesWith(mark)).includes(`bulkhead.${table}`);
    for (const table of ['request_log', 'audit_events', 'usage_records']) {
      while (!(await isThere(table))) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const filled = await tablesWith(mark);
    for (const table of await tenantTables()) {
      // Rows of its own by design: it says which tenants are gone.
      if (table === 'tenant_erasures' || table === 'audit_chains') continue;
      // Sums, without a text: the document has put the tenant there.
      if (table === 'storage_used') continue;
      if (!filled.includes(`bulkhead.${table}`)) await insertRow(table, tenant, mark);
    }
    return { admin, context, document };
  }

  /** Every table of every schema, as text, that mentions the mark. */
  async function tablesWith(mark: string): Promise<string[]> {
    const { rows } = await superuser.query<{ name: string }>(
      `SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    const found: string[] = [];
    for (const { name } of rows) {
      const hits = await superuser.query(`SELECT 1 FROM ${name} AS row WHERE row::text LIKE $1 LIMIT 1`, [
        `%${mark}%`,
      ]);
      if (hits.rows.length > 0) found.push(name);
    }
    return found.sort();
  }

  /** Every file of the data directory that mentions the mark, by name or content. */
  async function filesWith(mark: string): Promise<string[]> {
    for (;;) {
      try {
        return await scanFiles(mark);
      } catch (error) {
        // The index tidies up in the background. What was renamed meanwhile must not be missed: from the start.
        if (codeOf(error) !== 'ENOENT') throw error;
      }
    }
  }

  async function scanFiles(mark: string): Promise<string[]> {
    const entries = await readdir(testRag.dataDirectory, { recursive: true, withFileTypes: true });
    const found: string[] = [];
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      if (path.includes(mark) || (entry.isFile() && (await readIfThere(path)).includes(mark)))
        found.push(path);
    }
    return found;
  }

  return {
    testRag,
    superuser,
    fixture,
    rag,
    call,
    keyFor,
    plant,
    tenantTables,
    tablesWith,
    filesWith,
    async close() {
      await fixture.close();
      await testRag.close();
    },
  };
}

/** The index is tidied up in the background: a file that has gone meanwhile holds nothing. */
const readIfThere = (path: string): Promise<Buffer> =>
  readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  });
