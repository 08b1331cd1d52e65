import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { RagService } from '#app/services/rag-service.ts';
import { untilAborted } from '#app/until-aborted.ts';
import { createRouterFixture, seamRag } from '#test/support/router-fixture.ts';

const KEY = 'idempotency-key';
type AddDocument = RagService['addDocument'];

const rag = seamRag();
/** What stands before the seam: each test may put something else there. */
let before: () => Promise<void> = async () => {};
let after: () => Promise<void> = async () => {};
let added = 0;
const addDocument: AddDocument = async (context, upload, body, signal) => {
  body.on('error', () => {});
  added++;
  await untilAborted(before(), signal);
  const document = await rag.addDocument(context, upload, body, signal);
  await after();
  return document;
};

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let alice: { authorization: string };
let origin: string;
beforeAll(async () => {
  fixture = await createRouterFixture({
    rag: { ...rag, addDocument },
    settings: { RAG_CONNECTIONS: 10 },
  });
  for (const tenant of ['acme', 'globex']) {
    await fixture.setConfig(tenant, { rate_limits: { requests_per_minute: null, requests_per_hour: null } });
  }
  alice = await fixture.keyOf('acme', 'alice', 'service');
  origin = await fixture.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => fixture.close());
afterEach(() => {
  before = async () => {};
  after = async () => {};
});

type Form = { url?: string; bytes?: string; name?: string; type?: string; fields?: Record<string, string> };

const answerSchema = z.looseObject({
  id: z.string().optional(),
  document_id: z.string().optional(),
  error: z.object({ code: z.string(), param: z.string().nullable() }).nullish(),
});

/** As clients send it: with a boundary that is another one each time. */
async function send(key: string | undefined, form: Form = {}, credential = alice) {
  const { url = '/v1/vault/documents', bytes = '# Title', name = 'notes.md', type = 'text/markdown' } = form;
  const body = new FormData();
  body.append('file', new Blob([bytes], { type }), name);
  for (const [field, value] of Object.entries(form.fields ?? {})) body.append(field, value);
  const response = await fetch(origin + url, {
    method: 'POST',
    headers: { ...credential, ...(key === undefined ? {} : { [KEY]: key }) },
    body,
  });
  return {
    status: response.status,
    headers: response.headers,
    json: answerSchema.parse(await response.json()),
  };
}
test('uploads of one tenant, however many, leave room for another’s', async () => {
  const carol = await fixture.keyOf('globex', 'carol', 'service');
  const released = Promise.withResolvers<void>();
  before = () => released.promise;
  const earlier = added;
  const flood = Array.from({ length: 20 }, (_, number) => send(undefined, { bytes: `# Title ${number}` }));
  await expect.poll(() => added - earlier).toBe(8);
  before = async () => {};
  expect(await send(undefined, {}, carol)).toMatchObject({ status: 201 });
  expect(added - earlier).toBe(9);
  released.resolve();
  for (const { status } of await Promise.all(flood)) expect(status).toBe(201);
});

const filesForm = { url: '/v1/files', fields: { purpose: 'user_data' } };

/** How many documents were stored meanwhile. */
async function stored(work: () => Promise<unknown>): Promise<number> {
  const earlier = added;
  await work();
  return added - earlier;
}

describe.each([
  ['/v1/vault/documents', {}, 'document_id', 201],
  ['/v1/files', filesForm, 'id', 200],
] as const)('an upload to %s with an Idempotency-Key', (url, form, id, status) => {
  test('is stored once, and answered the same', async () => {
    const count = await stored(async () => {
      const first = await send(`same ${url}`.replace(' ', ''), form);
      const again = await send(`same ${url}`.replace(' ', ''), form);
      expect([first.status, again.status]).toEqual([status, status]);
      expect(again.json).toEqual(first.json);
      expect(first.json[id]).toMatch(/^doc_/);
      for (const name of ['location', 'content-type']) {
        expect(again.headers.get(name)).toBe(first.headers.get(name));
      }
      expect(first.headers.get('idempotency-replayed')).toBeNull();
      expect(again.headers.get('idempotency-replayed')).toBe('true');
    });
    expect(count).toBe(1);
  });

  test('is refused where the key came with anything else', async () => {
    const fields = { ...('fields' in form ? form.fields : {}) };
    expect((await send('other', form)).status).toBe(url === '/v1/files' ? 422 : 201);
    for (const changed of [
      { bytes: '# title' },
      { name: 'note.md' },
      { type: 'text/plain' },
      { fields: { ...fields, title: 'Mine' } },
      { fields: { ...fields, visibility: 'tenant' } },
      { fields: { ...fields, collection: 'legal' } },
      url === '/v1/files' ? { fields: { purpose: 'assistants' } } : filesForm,
    ]) {
      const count = await stored(async () => {
        const { status, json } = await send('other', { ...form, ...changed });
        expect([changed, status, json.error?.code]).toEqual([changed, 422, 'idempotency_key_reused']);
        expect(json.error?.param).toBe(KEY);
      });
      expect(count).toBe(0);
    }
    // A default that is spelled out is the same content.
    const spelled = await send('other', { fields: { visibility: 'private' } });
    expect([spelled.status, spelled.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
  });
});

describe('an Idempotency-Key of an upload', () => {
  test('lets one of several at once through; the others are told to wait', async () => {
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    before = () => {
      entered.resolve();
      return gate.promise;
    };
    const count = await stored(async () => {
      const first = send('burst');
      await entered.promise;
      const others = await Promise.all(Array.from({ length: 5 }, () => send('burst')));
      for (const { status, json, headers } of others) {
        expect([status, json.error?.code]).toEqual([409, 'conflict']);
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
      gate.resolve();
      expect((await first).status).toBe(201);
      expect((await send('burst')).json).toEqual((await first).json);
    });
    expect(count).toBe(1);
  });

  test('is the credential’s own, within its tenant', async () => {
    const others = [
      await fixture.keyOf('globex', 'alice', 'service'),
      await fixture.keyOf('acme', 'alice', 'service'),
      await fixture.keyOf('acme', 'bob', 'service'),
    ];
    const first = await send('shared');
    const ids = new Set([first.json.document_id]);
    for (const [position, credential] of others.entries()) {
      // The others' content differs or not: nothing of alice's shows either way.
      const answer = await send('shared', position === 0 ? { bytes: 'other' } : {}, credential);
      expect([answer.status, answer.headers.get('idempotency-replayed')]).toEqual([201, null]);
      ids.add(answer.json.document_id);
    }
    expect(ids.size).toBe(4);
    expect((await send('shared')).json).toEqual(first.json);
  });

  test('stays free where the upload was refused, by the form or by the vault', async () => {
    expect((await send('refused', { name: '../up.md' })).status).toBe(400);
    before = () => Promise.reject(new BulkheadError('unsupported_media_type', 'No parser takes it.'));
    expect((await send('refused', { bytes: 'first' })).status).toBe(415);
    before = () => Promise.reject(new BulkheadError('service_unavailable', 'The vault is away.'));
    expect((await send('refused', { bytes: 'second' })).status).toBe(503);
    before = () => Promise.reject(new Error('unforeseen'));
    expect((await send('refused', { bytes: 'third' })).status).toBe(500);
    before = async () => {};
    expect((await send('refused', { bytes: 'last' })).status).toBe(201);
  });

  test('stays free where the client left while its file was sent, and while it was stored', async () => {
    const partial = await leave(
      'left',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\n#',
    );
    await expect.poll(partial).toBe(true);
    expect((await send('left', { bytes: 'after the first' })).status).toBe(201);

    const entered = Promise.withResolvers<void>();
    before = () => {
      entered.resolve();
      return new Promise(() => {});
    };
    const whole = await leave('gone', `${fileOf('# Gone')}--b--\r\n`, entered.promise);
    await expect.poll(whole).toBe(true);
    before = async () => {};
    await expect.poll(async () => (await send('gone', { bytes: 'another' })).status).toBe(201);
  });

  test('keeps the answer of an upload that was stored after its client had left', async () => {
    const entered = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    after = () => {
      entered.resolve();
      return gate.promise;
    };
    const gone = await leave('late', `${fileOf('# Late')}--b--\r\n`, entered.promise);
    await expect.poll(gone).toBe(true);
    gate.resolve();
    const count = await stored(async () => {
      await expect
        .poll(async () => {
          const { headers } = await send('late', { bytes: '# Late', name: 'a.md', type: 'text/plain' });
          return headers.get('idempotency-replayed');
        })
        .toBe('true');
    });
    expect(count).toBe(0);
  });

  test('must be one: a bad key is refused before the form is read', async () => {
    for (const key of ['two words', 'x'.repeat(256)]) {
      const { status, json } = await send(key);
      expect([status, json.error?.code, json.error?.param]).toEqual([400, 'invalid_request', KEY]);
    }
  });

  test('is forgotten with its tenant, and stored without the document’s name', async () => {
    const { document_id } = (await send('kept', { name: 'secret-merger.md' })).json;
    const rows = await fixture.database.asSystem((transaction) =>
      transaction.query('SELECT tenant_id, row::text AS text FROM bulkhead.idempotency_keys AS row'),
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const { tenant_id, text } of rows) {
      expect(['acme', 'globex']).toContain(tenant_id);
      expect(text).not.toContain('secret-merger');
      expect(text).not.toContain(document_id);
    }
  });
});

const fileOf = (text: string) =>
  '--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n' +
  `Content-Type: text/plain\r\n\r\n${text}\r\n`;

/** Sends what there is of a form, and leaves at the given time. Tells whether the router has seen it leave. */
async function leave(key: string, body: string, when: Promise<unknown> = setImmediate()) {
  const { port, hostname } = new URL(origin);
  const closed = new Promise<void>((resolve) => {
    fixture.app.server.once('connection', (socket) => socket.once('close', () => resolve()));
  });
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const length = body.endsWith('--b--\r\n') ? Buffer.byteLength(body) : 10_000;
  socket.write(
    `POST /v1/vault/documents HTTP/1.1\r\nHost: x\r\nAuthorization: ${alice.authorization}\r\n` +
      `Idempotency-Key: ${key}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${length}\r\n\r\n${body}`,
  );
  await when;
  socket.destroy();
  let isGone = false;
  void closed.then(() => {
    isGone = true;
  });
  return () => isGone;
}
