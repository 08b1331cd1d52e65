import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { type DocumentId, newDocumentId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { silentLogger } from '#observability/logger.ts';
import { insertDocument } from '#rag/documents/document-rows.ts';
import { createIngestQueue, type IngestQueue, type IngestQueueOptions } from '#rag/ingest/ingest-queue.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';

describe('the ingest queue', () => {
  const acme = testContext('acme', 'alice');
  const globex = testContext('globex', 'gus');
  let open: OpenDatabase & { close(): Promise<void> };
  let queue: IngestQueue;
  beforeEach(async () => {
    open = await createTestDatabase();
    for (const tenantId of ['acme', 'globex']) await insertTestTenant(open.database, tenantId);
  });
  afterEach(async () => {
    await queue.close();
    await open.close();
  });

  const create = (process: IngestQueueOptions['process'], workers = 1) =>
    createIngestQueue({
      jobs: open.jobs,
      database: open.database,
      process,
      workers,
      logger: silentLogger,
      pollSeconds: 0.5,
    });

  async function addRow(context: TenantContext, byteSize = 1): Promise<DocumentId> {
    const documentId = newDocumentId();
    await open.database.asTenant(context, (transaction) =>
      insertDocument(transaction, {
        format: 1,
        tenant_id: context.tenantId,
        user_id: context.userId,
        document_id: documentId,
        visibility: 'private',
        collection: 'default',
        title: null,
        filename: 'x',
        media_type: 'text/plain',
        byte_size: byteSize,
        content_hash: '0'.repeat(64),
        created_at: new Date().toISOString(),
      }),
    );
    return documentId;
  }
  const finish = (context: TenantContext, documentId: DocumentId) =>
    open.database.asTenant(context, (transaction) =>
      transaction.query(`UPDATE bulkhead.documents SET status = 'ready' WHERE document_id = $1`, [
        documentId,
      ]),
    );

  it('lets tenants take turns: a thousand documents of one do not hold up another’s first', async () => {
    const order: string[] = [];
    for (let i = 0; i < 30; i++) await addRow(acme);
    queue = create(async (context, { documentId }) => {
      order.push(context.tenantId);
      if (order.length === 5) {
        for (let i = 0; i < 3; i++) await addRow(globex);
        await queue.wake(globex);
      }
      await finish(context, documentId);
    });
    await queue.start();
    await queue.wake(acme);
    await expect.poll(() => order.length, { timeout: 30_000 }).toBe(33);
    const places = order.flatMap((tenantId, i) => (tenantId === 'globex' ? [i] : []));
    expect(places[0]).toBeLessThanOrEqual(6);
    expect(places[2]).toBeLessThanOrEqual(10);
  });

  /** Documents that stay under way until they are let go; `begun` holds them in the order in which they began. */
  function createGated(workers = 1) {
    const begun: DocumentId[] = [];
    const gates = new Map<DocumentId, PromiseWithResolvers<void>>();
    const gateOf = (documentId: DocumentId) => {
      const gate = gates.get(documentId) ?? Promise.withResolvers<void>();
      gates.set(documentId, gate);
      return gate;
    };
    queue = create(async (context, { documentId }, { signal }) => {
      begun.push(documentId);
      const left = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => left.reject(signal.reason));
      await Promise.race([gateOf(documentId).promise, left.promise]);
      await finish(context, documentId);
    }, workers);
    return { begun, letGo: (documentId: DocumentId) => gateOf(documentId).resolve() };
  }
  const hasBegun = (begun: readonly DocumentId[], ...ids: DocumentId[]) =>
    expect.poll(() => begun, { timeout: 30_000 }).toEqual(expect.arrayContaining(ids));
  const MEGABYTE = 2 ** 20;

  it('begins a note while a large file of the same tenant and of others are under way', async () => {
    const { begun } = createGated();
    const large = await addRow(acme, 5 * MEGABYTE);
    for (let i = 0; i < 5; i++) await addRow(acme, 5 * MEGABYTE);
    await queue.start();
    await queue.wake(acme);
    await hasBegun(begun, large);
    for (let i = 0; i < 5; i++) {
      const tenantId = `full-${i}`;
      await insertTestTenant(open.database, tenantId);
      const context = testContext(tenantId, 'x');
      for (const size of [5 * MEGABYTE, MEGABYTE, 100_000]) await addRow(context, size);
      await queue.wake(context);
    }
    const own = await addRow(acme);
    const others = await addRow(globex);
    await Promise.all([queue.wake(acme), queue.wake(globex)]);
    await hasBegun(begun, own, others);
  });

  it('gives a free place to the tenant that has waited longest, in every lane', async () => {
    const { begun, letGo } = createGated();
    await queue.start();
    const contexts = await Promise.all(
      Array.from({ length: 3 }, async (_, i) => {
        await insertTestTenant(open.database, `flood-${i}`);
        return testContext(`flood-${i}`, 'x');
      }),
    );
    const [first, second, third] = contexts;
    if (first === undefined || second === undefined || third === undefined) throw new Error('three tenants');
    const held = [];
    for (const context of [first, first, first, second, second, third]) {
      held.push(await addRow(context, 5 * MEGABYTE));
      await queue.wake(context);
    }
    const [ofFirst, , , ofSecond, , ofThird] = held;
    if (ofFirst === undefined || ofSecond === undefined || ofThird === undefined)
      throw new Error('six documents');
    // The lane of the largest has two places.
    await hasBegun(begun, ofFirst, ofSecond);
    expect(begun).toHaveLength(2);
    letGo(ofFirst);
    await expect.poll(() => begun, { timeout: 30_000 }).toEqual([ofFirst, ofSecond, ofThird]);
  });

  it('takes a tenant’s smallest document of a lane first, and every fourth time its oldest', async () => {
    const order: number[] = [];
    const sizes = new Map<DocumentId, number>();
    for (const size of [9_000, 8_000, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000]) {
      sizes.set(await addRow(acme, size), size);
    }
    queue = create(async (context, { documentId }) => {
      order.push(sizes.get(documentId) ?? 0);
      await finish(context, documentId);
    });
    await queue.start();
    await queue.wake(acme);
    await expect.poll(() => order.length, { timeout: 30_000 }).toBe(8);
    expect(order).toEqual([1_000, 2_000, 3_000, 9_000, 4_000, 5_000, 6_000, 8_000]);
  });

  it('goes on with a tenant’s other documents while some wait for another attempt', async () => {
    const failing = await Promise.all([addRow(acme, 1), addRow(acme, 2), addRow(acme, 3)]);
    const sound = await Promise.all([addRow(acme, 10), addRow(acme, 11)]);
    const attempts = new Map<DocumentId, number>();
    const done: DocumentId[] = [];
    queue = create(async (context, { documentId }) => {
      const attempt = (attempts.get(documentId) ?? 0) + 1;
      attempts.set(documentId, attempt);
      if (failing.includes(documentId) && attempt < 3) throw new Error('a passing fault');
      done.push(documentId);
      await finish(context, documentId);
    });
    await queue.start();
    await queue.wake(acme);
    await expect.poll(() => done.length, { timeout: 60_000 }).toBe(5);
    expect(done.slice(0, 2).sort()).toEqual([...sound].sort());
    expect([...attempts.values()].sort()).toEqual([1, 1, 3, 3, 3]);
  });

  it('finds a document again whose job was given out in a reply that got lost', async () => {
    const id = await addRow(acme);
    const { begun, letGo } = createGated();
    await queue.start();
    if (open.jobs.kind !== 'pglite') throw new Error('the test database is PGlite');
    await open.jobs.pglite.query(
      `INSERT INTO pgboss.job (name, data, policy, state, started_on, singleton_key)
       VALUES ('vault-index', '{}', 'exclusive', 'active', now(), '${id}')`,
    );
    await queue.wake(acme);
    await hasBegun(begun, id);
    letGo(id);
  });

  it('gives each document to one worker at a time, and works on several at once', async () => {
    const running = new Map<string, number>();
    let most = 0;
    let done = 0;
    for (let i = 0; i < 12; i++) await addRow(acme);
    queue = create(async (context, { documentId }) => {
      running.set(documentId, (running.get(documentId) ?? 0) + 1);
      expect(running.get(documentId)).toBe(1);
      most = Math.max(most, running.size);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await finish(context, documentId);
      running.delete(documentId);
      done += 1;
    }, 3);
    await queue.start();
    await Promise.all(Array.from({ length: 20 }, () => queue.wake(acme)));
    await expect.poll(() => done, { timeout: 30_000 }).toBe(12);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('tries again after a failure, and says when it is the last time', async () => {
    const attempts: boolean[] = [];
    const id = await addRow(acme);
    queue = create(async (context, { documentId }, { isLast }) => {
      attempts.push(isLast);
      if (attempts.length === 1) throw new Error('a passing fault');
      await finish(context, documentId);
    });
    await queue.start();
    await queue.wake(acme);
    await expect.poll(() => attempts.length, { timeout: 30_000 }).toBe(2);
    expect(attempts).toEqual([false, false]);
    expect(id).toBeTruthy();
  });

  it('stops the work on a document that is cancelled, and all work when it closes', async () => {
    const reasons: string[] = [];
    queue = create(async (context, { documentId }, { signal }) => {
      if (reasons.length === 0) queue.cancel(documentId);
      else void queue.close();
      await new Promise((resolve) =>
        signal.aborted ? resolve(0) : signal.addEventListener('abort', resolve),
      );
      reasons.push(String(signal.reason?.message));
      await finish(context, documentId);
      throw signal.reason;
    });
    await addRow(acme);
    await addRow(acme);
    await queue.start();
    await queue.wake(acme);
    await expect
      .poll(() => reasons, { timeout: 30_000 })
      .toEqual([expect.stringContaining('deleted'), expect.stringContaining('shutting down')]);
  });

  it('refuses a payload that is not one', async () => {
    const seen: string[] = [];
    queue = create(async (context, { documentId }) => {
      seen.push(documentId);
      await finish(context, documentId);
    });
    await queue.start();
    if (open.jobs.kind !== 'pglite') throw new Error('the test database is PGlite');
    await open.jobs.pglite.query(
      `INSERT INTO pgboss.job (name, data, policy) VALUES ('vault-index', '{"tenant_id": "../globex", "user_id": "x", "document_id": "y"}', 'exclusive')`,
    );
    const id = await addRow(acme);
    await queue.wake(acme);
    await expect.poll(() => seen, { timeout: 30_000 }).toEqual([id]);
  });
});
