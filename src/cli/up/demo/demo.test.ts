import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { tenantIdSchema } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import type { RagService } from '#app/services/rag-service.ts';
import { loadSettings } from '#app/settings/load-settings.ts';
import { openDemoState } from '#cli/up/demo/demo-state.ts';
import { DEMO_TENANTS } from '#cli/up/demo/demo-tenants.ts';
import { findInPackage } from '#cli/up/demo/find-in-package.ts';
import { seedDemoDocuments } from '#cli/up/demo/seed-demo-documents.ts';
import { seedDemoTenants } from '#cli/up/demo/seed-demo-tenants.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { silentLogger } from '#observability/logger.ts';
import { createRag, type Rag } from '#rag/create-rag.ts';
import { createApiKeyStore } from '#router/identity/api-key-store.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { testContext } from '#test/support/test-context.ts';

const signal = new AbortController().signal;
const FILES = DEMO_TENANTS.reduce((sum, { files }) => sum + files.length, 0);

let embedder: Embedder;
beforeAll(async () => {
  embedder = await createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY, threads: 1 });
});
afterAll(() => embedder.close());

let directory: string;
let open: OpenDatabase & { close(): Promise<void> };
let rag: Rag;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bulkhead-demo-'));
  open = await createTestDatabase();
  // Never started: documents are stored, and their indexing waits.
  const { database, jobs } = open;
  const settings = loadSettings({});
  rag = await createRag({
    settings,
    database,
    jobs,
    embedder,
    dataDirectory: directory,
    logger: silentLogger,
  });
});
afterEach(async () => {
  await rag.close();
  await open.close();
  await rm(directory, { recursive: true, force: true });
});

/** A start's part of the seeding, as `up` does it; `service` may fail in the midst of it. */
async function seed(service: RagService = rag.service) {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const state = await openDemoState(directory, 'embedded');
  const { database } = open;
  const tenants = await seedDemoTenants({
    tenants: createTenantStore({ database }),
    keys: createApiKeyStore({ database, pepper: 'p'.repeat(32) }),
    state,
    log,
  });
  const documents = await seedDemoDocuments({ rag: service, state, signal, log });
  return { tenants, documents, lines };
}

async function documentsOf(tenantId: string, userId = 'somebody') {
  const page = await rag.service.listDocuments(testContext(tenantId, userId), { limit: 100 }, signal);
  return page.data;
}

const liveKeys = async (tenantId: string) => {
  const keys = createApiKeyStore({ database: open.database, pepper: 'p'.repeat(32) });
  const page = await keys.list(tenantIdSchema.parse(tenantId), { limit: 100 });
  return page.data.filter(({ revoked_at }) => revoked_at === null);
};

describe('the demo', () => {
  it('is on disk: every file of the plan is in its package', () => {
    for (const { packageName, directory: docs, files } of DEMO_TENANTS) {
      for (const file of files) expect(findInPackage(packageName, join(docs, file))).not.toBeNull();
    }
  });

  it('gives each tenant two keys and documents that all of it sees, and no other tenant', async () => {
    const { tenants, documents } = await seed();
    expect(tenants.map(({ tenant_id, user_id }) => [tenant_id, user_id])).toEqual([
      ['acme', 'alice'],
      ['globex', 'bob'],
    ]);
    expect(documents).toHaveLength(FILES);
    for (const plan of DEMO_TENANTS) {
      expect(await documentsOf(plan.tenantId)).toHaveLength(plan.files.length);
      expect((await liveKeys(plan.tenantId)).map(({ role }) => role).sort()).toEqual(['admin', 'member']);
    }
    const acme = new Set((await documentsOf('acme')).map(({ document_id }) => document_id));
    expect((await documentsOf('globex')).some(({ document_id }) => acme.has(document_id))).toBe(false);
  });

  it('is seeded once: a second start keeps keys and documents, and what was deleted stays deleted', async () => {
    const first = await seed();
    const [gone] = await documentsOf('acme');
    if (gone === undefined) throw new Error('nothing was seeded');
    const admin = testContext('acme', gone.user_id, 'admin');
    await rag.service.deleteDocument(admin, gone.document_id, signal);
    const second = await seed();
    expect(second.tenants).toEqual(first.tenants);
    const titles = (await documentsOf('acme')).map(({ filename }) => filename);
    expect(titles).toHaveLength((DEMO_TENANTS[0]?.files.length ?? 0) - 1);
    expect(titles).not.toContain(gone.filename);
    expect(await liveKeys('acme')).toHaveLength(2);
  });

  it('is completed by the next start after a crash, with nothing twice', async () => {
    let added = 0;
    const failing: RagService = {
      ...rag.service,
      async addDocument(...request) {
        const document = await rag.service.addDocument(...request);
        // The document is there, but nobody heard of it.
        if (++added === 7) throw new Error('crash');
        return document;
      },
    };
    await expect(seed(failing)).rejects.toThrow('crash');
    const { tenants, documents } = await seed();
    expect(tenants).toHaveLength(2);
    expect(new Set(documents.map(({ documentId }) => documentId)).size).toBe(FILES);
    for (const plan of DEMO_TENANTS) {
      const names = (await documentsOf(plan.tenantId)).map(({ filename }) => filename);
      expect(new Set(names).size).toBe(plan.files.length);
      expect(names).toHaveLength(plan.files.length);
    }
  });

  it('makes keys anew after a crash between making and writing them down', async () => {
    const { tenants } = await seed();
    await (await openDemoState(directory, 'embedded')).set('acme', { status: 'creating' });
    const again = await seed();
    expect(again.tenants[0]?.api_key).not.toBe(tenants[0]?.api_key);
    expect(await liveKeys('acme')).toHaveLength(2);
    expect(again.tenants[1]).toEqual(tenants[1]);
  });

  it('leaves a tenant of the same name that somebody else made', async () => {
    await createTenantStore({ database: open.database }).create(
      tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'The real Acme' }),
      'operator',
    );
    for (let start = 0; start < 2; start++) {
      const { tenants } = await seed();
      expect(tenants.map(({ tenant_id }) => tenant_id)).toEqual(['globex']);
      expect(await documentsOf('acme')).toEqual([]);
      expect(await liveKeys('acme')).toEqual([]);
    }
  });
});
