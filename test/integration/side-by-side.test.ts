import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { call, eventually, textAt } from '#test/support/http-client.ts';
import { readLedger } from '#test/support/read-ledger.ts';
import {
  checkedOutTree,
  currentTree,
  type SourceTree,
  treeWithMigrations,
} from '#test/support/source-tree.ts';
import { cleanEnvironment, newOperatorKey } from '#test/support/start-bulkhead.ts';
import {
  type ServiceName,
  type ServiceProcess,
  startServiceProcess,
} from '#test/support/start-service-process.ts';
import { createKey, createTenant } from '#test/support/tenants.ts';

const run = promisify(execFile);
/** The last version that refused to start on a schema with a step that it does not know. */
const VERSION_BEFORE = '092ed32';
/** What the version after this one may do to tables in use. */
const NEXT_MIGRATIONS = {
  '9000-next-columns.sql': `-- bulkhead: expand
ALTER TABLE bulkhead.tenants ADD COLUMN next_note text;
ALTER TABLE bulkhead.usage_records ADD COLUMN next_flag boolean NOT NULL DEFAULT false;
ALTER TABLE bulkhead.messages ADD COLUMN next_kind text NOT NULL DEFAULT 'text';
CREATE TABLE bulkhead.next_table (id text PRIMARY KEY);
`,
  '9001-next-index.sql': `-- bulkhead: expand, no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_by_kind ON bulkhead.messages (tenant_id, next_kind);
`,
};

const canRun = POSTGRES_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL; npm run test:integration starts one.');

const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

it.skipIf(!canRun)(
  'three versions serve one database side by side, through an upgrade and its rollback: no request fails',
  async () => {
    const created = await createPostgresDatabase();
    const dataDirectory = await mkdtemp(join(tmpdir(), 'bulkhead-side-'));
    cleanups.push(created.drop, () => rm(dataDirectory, { recursive: true, force: true }));
    const checkedOut = await checkedOutTree(VERSION_BEFORE);
    if (checkedOut === null) {
      console.warn(
        `!!! THE VERSION BEFORE IS NOT TESTED: the history lacks ${VERSION_BEFORE} (a shallow clone?). This version stands in for it.`,
      );
    }
    const before = checkedOut ?? currentTree;
    const next = await treeWithMigrations(NEXT_MIGRATIONS);
    cleanups.push(before.dispose, next.dispose);

    const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const operatorKey = newOperatorKey();
    const pepper = randomBytes(32).toString('hex');
    const salt = randomBytes(32).toString('hex');
    const start = async (tree: SourceTree, service: ServiceName, env: Record<string, string>) => {
      const started = await startServiceProcess({
        service,
        root: tree.root,
        cwd: dataDirectory,
        env: { DATABASE_URL: created.url, PORT: '0', BULKHEAD_DATA_DIR: dataDirectory, ...env },
      });
      cleanups.push(() => started.child.kill());
      return started;
    };
    const startRag = (tree: SourceTree) => start(tree, 'rag', { INTERNAL_TOKEN_PUBLIC_KEY: publicKey });
    // The schema is the version before’s own. Documents are parsed by this one, whose packages are no link.
    await (await startRag(before)).child.stop();
    let rag = await startRag(currentTree);

    /** A router with its orchestrator: what is replaced at a time. */
    type Pair = { router: ServiceProcess; orchestrator: ServiceProcess; inFlight: number };
    async function startPair(tree: SourceTree): Promise<Pair> {
      const orchestrator = await start(tree, 'orchestrator', {
        INTERNAL_TOKEN_PUBLIC_KEY: publicKey,
        RAG_SERVICE_URL: rag.url,
        CACHE_SALT_SECRET: salt,
      });
      const router = await start(tree, 'router', {
        INTERNAL_TOKEN_PRIVATE_KEY: privateKey,
        API_KEY_PEPPER: pepper,
        OPERATOR_KEY: operatorKey,
        ORCHESTRATOR_URL: orchestrator.url,
        RAG_SERVICE_URL: rag.url,
      });
      return { router, orchestrator, inFlight: 0 };
    }
    const pairs: Pair[] = await Promise.all([startPair(before), startPair(before)]);
    /** As a rolling update does it: the new one serves before the old one is taken out, and that one finishes first. */
    async function replace(at: number, tree: SourceTree): Promise<void> {
      const [old, started] = [pairs[at], await startPair(tree)];
      pairs[at] = started;
      if (old === undefined) return;
      await eventually('the old pair is idle', async () => (old.inFlight === 0 ? true : undefined));
      await old.router.child.stop();
      await old.orchestrator.child.stop();
    }

    const front = { url: pairs[0]?.router.url ?? '', operatorKey, log: async () => '' };
    await createTenant(front, {
      tenant_id: 'acme',
      display_name: 'acme',
      rate_limits: { requests_per_minute: 1_000_000, requests_per_hour: null, concurrent_requests: 1_000 },
    });
    const key = await createKey(front, 'acme', { user_id: 'alice', role: 'service' });
    const form = new FormData();
    form.append('file', new Blob(['The office of acme opens at nine.']), 'note.txt');
    const added = await call(front.url, 'POST /v1/vault/documents', { key, body: form });
    const document = textAt(added.json, 'document_id');
    await eventually('the document is indexed', async () => {
      const { json } = await call(front.url, `GET /v1/vault/documents/${document}`, { key });
      return textAt(json, 'status') === 'ready' ? true : undefined;
    });

    const failures: string[] = [];
    const chats: string[] = [];
    let sent = 0;
    let isRunning = true;
    const ask = async (kind: number): Promise<void> => {
      const pair = pairs[sent++ % pairs.length];
      if (pair === undefined) return;
      pair.inFlight += 1;
      const { url } = pair.router;
      try {
        const answer =
          kind === 0
            ? await call(url, 'POST /v1/chat', { key, json: { message: 'When does the office open?' } })
            : kind === 1
              ? await call(url, 'POST /v1/chat', {
                  key,
                  json: { message: 'When does the office open?', stream: true },
                })
              : kind === 2
                ? await call(url, 'GET /v1/conversations', { key })
                : kind === 3
                  ? await call(url, 'GET /v1/usage', { key })
                  : await call(url, 'PATCH /admin/tenants/acme', {
                      key: operatorKey,
                      json: { display_name: `acme ${sent}` },
                    });
        // The last event of a stream has it.
        const isCut = kind === 1 && !answer.text.includes('"finish_reason":"stop"');
        if (answer.status !== 200 || isCut)
          failures.push(`${kind}: ${answer.status} ${answer.text.slice(-300)}`);
        else if (kind < 2) chats.push(answer.headers['x-request-id'] ?? '');
      } catch (error) {
        failures.push(`${kind}: ${String(error)}`);
      } finally {
        pair.inFlight -= 1;
      }
    };
    const load = Array.from({ length: 4 }, async (_, worker) => {
      for (let i = worker; isRunning; i++) await ask(i % 5);
    });
    const flowed = async (count: number) => {
      const target = sent + count;
      await expect.poll(() => sent, { timeout: 60_000 }).toBeGreaterThan(target);
    };

    try {
      await flowed(20);
      // The upgrade: the job first, and then the services, one after another.
      const job = await run(process.execPath, [join(next.root, 'src/cli/main.ts'), 'migrate'], {
        cwd: dataDirectory,
        env: cleanEnvironment({ DATABASE_URL: created.url }),
      });
      expect(job.stderr).toContain('9001-next-index.sql: applied');
      await flowed(20);
      await replace(0, next);
      await flowed(40);
      await replace(1, currentTree);
      await flowed(40);
      // The rollback: both versions start again on the schema of the next.
      await replace(0, before);
      await flowed(40);
      await replace(1, before);
      await flowed(40);
    } finally {
      isRunning = false;
      await Promise.all(load);
    }
    expect(failures).toEqual([]);
    expect(chats.length).toBeGreaterThan(50);

    // The RAG service is alone on its files: it is restarted while nothing needs it.
    for (const tree of [next, currentTree, before]) {
      await rag.child.stop();
      rag = await startRag(tree);
    }
    pairs[0] = await startPair(currentTree);
    const { url } = pairs[0].router;
    const answer = await call(url, 'POST /v1/chat', { key, json: { message: 'When does the office open?' } });
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.text).toContain('opens at nine');
    const rows = await eventually(
      'every answer is in the ledger',
      async () => {
        const ledger = await readLedger({ url, operatorKey });
        return chats.every((requestId) => ledger.rows.has(requestId)) ? ledger.rows : undefined;
      },
      60_000,
    );
    expect(chats.filter((requestId) => rows.get(requestId)?.length !== 1)).toEqual([]);
    const audit = await call(url, 'GET /admin/audit/verify?tenant_id=acme', { key: operatorKey });
    expect(audit.json).toMatchObject({ valid: true });
  },
  400_000,
);
