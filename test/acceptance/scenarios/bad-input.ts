import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { docxEntries, makeDocx } from '../../support/documents/make-docx.ts';
import { makePdf } from '../../support/documents/make-pdf.ts';
import { makeZip } from '../../support/documents/make-zip.ts';
import { at, call, eventually, textAt } from '../../support/http-client.ts';
import { sendRaw, statusesOf } from '../../support/raw-http.ts';
import { FACTS, type SeededPlatform } from '../../support/seeded-platform.ts';
import { documentSettled, listDocuments, upload } from '../../support/vault-documents.ts';
import { expectRefusal, snapshot } from '../refusals.ts';

const MIB = 1024 * 1024;

/** What no honest client sends: each a 4xx that says what is wrong, none a 500, and nothing half-written. */
export function describeBadInput(seeded: () => SeededPlatform): void {
  describe('bad input', () => {
    let url: string;
    let alice: string;
    let operator: string;
    let before: unknown;
    beforeAll(async () => {
      url = seeded().platform.url;
      ({ alice, operator } = seeded().keys);
      before = await snapshot(seeded());
    });
    afterAll(async () => {
      expect(await snapshot(seeded())).toEqual(before);
      const { json } = await call(url, 'POST /v1/chat', {
        key: alice,
        json: { message: FACTS.alice.question },
      });
      expect(textAt(json, 'answer')).toContain(FACTS.alice.word);
      const id = textAt(json, 'conversation_id');
      await call(url, `DELETE /v1/conversations/${id}`, { key: alice });
    });

    /** Endpoints that take JSON, with a body that would do. */
    const endpoints = (): [endpoint: string, key: string, body: Record<string, unknown>][] => [
      ['POST /v1/chat', alice, { message: 'Hello' }],
      [
        'POST /v1/chat/completions',
        alice,
        { model: 'bulkhead-rag', messages: [{ role: 'user', content: 'x' }] },
      ],
      ['POST /v1/vault/search', alice, { query: 'x' }],
      ['POST /admin/tenants', operator, { tenant_id: 'half-written', display_name: 'x' }],
      ['PATCH /admin/tenants/acme', operator, { display_name: 'Other' }],
      ['POST /admin/tenants/acme/keys', operator, { user_id: 'half-written' }],
    ];
    const json = { 'content-type': 'application/json' };

    it.each([
      ['nothing', ''],
      ['a cut object', '{"message":'],
      ['single quotes', "{'message':1}"],
      ['a trailing comma', '{"message":"x",}'],
      ['NaN', '{"message":NaN}'],
      ['two values', '{} {}'],
      ['a byte order mark alone', '\ufeff'],
      ['a form', 'message=x'],
    ])('malformed JSON: %s', async (_what, body) => {
      for (const [endpoint, key] of endpoints()) {
        const answer = await call(url, endpoint, { key, body, headers: json });
        expectRefusal(answer, endpoint);
        expect(answer.text).toContain('malformed_json');
      }
    });

    it.each([
      ['null', null],
      ['a list', []],
      ['text', 'x'],
      ['a number', 1],
    ])('JSON that is no object: %s', async (_what, body) => {
      for (const [endpoint, key] of endpoints())
        expectRefusal(await call(url, endpoint, { key, json: body }), endpoint);
    });

    it.each([
      ['a lone continuation byte', [0x80]],
      ['an overlong slash', [0xc0, 0xaf]],
      ['a surrogate', [0xed, 0xa0, 0x80]],
      ['a cut character', [0xe2, 0x82]],
    ])('invalid UTF-8: %s', async (_what, bytes) => {
      const body = new Uint8Array([...Buffer.from('{"message":"'), ...bytes, ...Buffer.from('"}')]);
      for (const [endpoint, key] of endpoints()) {
        const answer = await call(url, endpoint, { key, body, headers: json });
        expectRefusal(answer, endpoint);
        expect(answer.text).toContain('invalid_encoding');
      }
    });

    it('unknown fields: refused by name, but for OpenAI’s clients', async () => {
      for (const [endpoint, key, body] of endpoints()) {
        const answer = await call(url, endpoint, { key, json: { ...body, nonsense: 1 } });
        if (endpoint.includes('completions')) expect(answer.status).toBe(200);
        else expect(expectRefusal(answer, endpoint)).toBe('nonsense');
      }
      const nested = { rate_limits: { requests_per_minute: 1, nonsense: 1 } };
      const answer = await call(url, 'PATCH /admin/tenants/acme', { key: operator, json: nested });
      expect(expectRefusal(answer, 'nested')).toBe('rate_limits.nonsense');
    });

    it.each([
      ['__proto__', '"__proto__":{"isAdmin":true}'],
      ['escaped', '"\\u005f\\u005fproto__":{"isAdmin":true}'],
      ['nested', '"metadata":{"__proto__":{"isAdmin":true}}'],
      ['constructor', '"constructor":{"prototype":{"isAdmin":true}}'],
    ])('prototype pollution: %s', async (_what, field) => {
      for (const [endpoint, key, body] of endpoints()) {
        const text = `${JSON.stringify(body).slice(0, -1)},${field}}`;
        expect(
          expectRefusal(await call(url, endpoint, { key, body: text, headers: json }), endpoint),
        ).not.toBe('');
      }
    });

    it('endless nesting, NULs, and numbers beyond all bounds', async () => {
      const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
      for (const [endpoint, key, body] of endpoints()) {
        const text = `${JSON.stringify(body).slice(0, -1)},"metadata":${deep}}`;
        expectRefusal(await call(url, endpoint, { key, body: text, headers: json }), `${endpoint} nested`);
        const [name] = Object.keys(body).slice(-1);
        const withNul = { ...body, [name ?? '']: 'a\u0000b' };
        if (!endpoint.includes('completions')) {
          expect(expectRefusal(await call(url, endpoint, { key, json: withNul }), endpoint)).toBe(name);
        }
      }
      const nulInMessage = { model: 'bulkhead-rag', messages: [{ role: 'user', content: 'a\u0000b' }] };
      const completion = await call(url, 'POST /v1/chat/completions', { key: alice, json: nulInMessage });
      expect(expectRefusal(completion, 'NUL in a message')).toBe('messages.0.content');
      for (const number of ['1e400', '-1e400', '1e100', '-1', '0', '1.5', '99999999999999999999']) {
        const body = `{"message":"x","top_k":${number}}`;
        const answer = await call(url, 'POST /v1/chat', { key: alice, body, headers: json });
        expect(expectRefusal(answer, number)).toBe('top_k');
      }
    });

    it('bodies of 20 MB', async () => {
      const text = 'x'.repeat(20 * MIB);
      for (const [endpoint, key, body] of endpoints()) {
        const answer = await call(url, endpoint, { key, json: { ...body, message: text } });
        expect(expectRefusal(answer, endpoint)).toBeDefined();
        expect(answer.status, endpoint).toBe(413);
      }
      const file = await upload(url, alice, { filename: 'large.txt', content: text });
      expect(file.status).toBe(413);
      expect(expectRefusal(file, 'upload')).toBe('file');
    });

    it('other content types and encodings', async () => {
      const body = '{"message":"x"}';
      const types = [
        'text/plain',
        'application/xml',
        'application/x-www-form-urlencoded',
        'x',
        'application/json; charset=utf-16',
      ];
      for (const type of types) {
        const answer = await call(url, 'POST /v1/chat', {
          key: alice,
          body,
          headers: { 'content-type': type },
        });
        expect(answer.status, type).toBe(415);
        expect(expectRefusal(answer, type)).toBe('content-type');
      }
      const headers = { ...json, 'content-encoding': 'gzip' };
      const zipped = await call(url, 'POST /v1/chat', { key: alice, body, headers });
      expect(zipped.status).toBe(415);
      expect(expectRefusal(zipped, 'gzip')).toBe('content-encoding');
      const noForm = await call(url, 'POST /v1/vault/documents', { key: alice, body, headers: json });
      expect(noForm.status).toBe(415);
    });

    it.each([
      ['no credential', {}],
      ['another scheme', { authorization: 'Basic YTpi' }],
      ['SQL', { authorization: "Bearer ' OR '1'='1" }],
      ['a key of nobody', { authorization: `Bearer bk_${'0'.repeat(26)}_${'A'.repeat(43)}` }],
      ['a long one', { authorization: `Bearer ${'A'.repeat(9_000)}` }],
      ['an unsigned JWT', { authorization: 'Bearer eyJhbGciOiJub25lIn0.eyJ0ZW5hbnRfaWQiOiJhY21lIn0.' }],
      ['a tenant header alone', { 'x-tenant-id': 'acme' }],
    ])('credentials: %s', async (_what, headers) => {
      for (const [endpoint, , body] of endpoints()) {
        const answer = await call(url, endpoint, { json: body, headers });
        expectRefusal(answer, endpoint);
        expect(answer.status).toBe(401);
      }
    });

    it('requests that are no HTTP, or two at once', async () => {
      const head = (more: string) =>
        `POST /v1/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice}\r\nContent-Type: application/json\r\n${more}\r\n`;
      const body = '{"message":"x"}';
      const cases: [what: string, request: string][] = [
        ['no HTTP', 'hello\r\n\r\n'],
        ['a chunk that is none', `${head('Transfer-Encoding: chunked\r\n')}ZZZ\r\n${body}\r\n0\r\n\r\n`],
        ['a chunk that overflows', `${head('Transfer-Encoding: chunked\r\n')}FFFFFFFFFFFFFFFFFF\r\n${body}`],
        [
          'a length and chunks',
          `${head('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
        ],
        ['two lengths', `${head('Content-Length: 15\r\nContent-Length: 3\r\n')}${body}`],
        ['a length that is none', `${head('Content-Length: abc\r\n')}${body}`],
        ['a negative length', `${head('Content-Length: -1\r\n')}${body}`],
        [
          'two credentials',
          `${head(`Authorization: Bearer ${operator}\r\nContent-Length: ${body.length}\r\n`)}${body}`,
        ],
        [
          'two tenants',
          `${head(`X-Tenant-Id: acme\r\nX-Tenant-Id: globex\r\nContent-Length: ${body.length}\r\n`)}${body}`,
        ],
        ['a header without end', head(`X-Long: ${'x'.repeat(100_000)}\r\nContent-Length: 0\r\n`)],
        ['a NUL in a header', head('X-Nul: a\u0000b\r\nContent-Length: 0\r\n')],
        ['a folded header', head('X-Fold: a\r\n b\r\nContent-Length: 0\r\n')],
      ];
      for (const [what, request] of cases) {
        const statuses = statusesOf(await sendRaw(url, request));
        expect(statuses.length, what).toBeGreaterThan(0);
        for (const status of statuses) {
          expect(status, what).toBeGreaterThanOrEqual(400);
          expect(status, what).toBeLessThan(500);
        }
      }
    });

    it('a body that breaks off leaves nothing', async () => {
      const boundary = 'cut-here';
      const start = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="cut.txt"\r\n\r\nHalf of`;
      const request =
        `POST /v1/vault/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice}\r\n` +
        `Content-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 1000\r\n\r\n${start}`;
      await sendRaw(url, request, 500);
      expect(JSON.stringify(await listDocuments(url, alice))).not.toContain('cut.txt');
    });

    it.each([
      ['a path', '../../evil.txt'],
      ['an absolute path', '/etc/passwd'],
      ['a Windows path', 'C:\\evil.txt'],
      ['the parent', '..'],
      ['spaces', '   '],
      ['a control character', 'a\u0007b.txt'],
      ['a name that reads backwards', 'a\u202egnp.txt'],
      ['a long name', `${'x'.repeat(300)}.txt`],
    ])('filenames: %s', async (_what, filename) => {
      const answer = await upload(url, alice, { filename, content: 'Some text.' });
      expect(expectRefusal(answer, filename)).toBe('file');
    });

    it.each([
      ['no bytes', 'a.md', Buffer.alloc(0)],
      ['a picture', 'a.png', Buffer.from('\x89PNG\r\n\x1a\n\0\0', 'latin1')],
      ['a picture by another name', 'a.md', Buffer.from('\x89PNG\r\n\x1a\n\0\0', 'latin1')],
      ['a PDF in name alone', 'a.pdf', Buffer.from('Some text.')],
    ])('files that nobody can read: %s', async (what, filename, content) => {
      const answer = await upload(url, alice, { filename, content });
      expect(expectRefusal(answer, what)).toBe('file');
    });

    it.each([
      ['title', { title: '' }],
      ['title', { title: 'x'.repeat(5_000) }],
      ['title', { title: 'a\u0000b' }],
      ['visibility', { visibility: 'public' }],
      ['nonsense', { nonsense: '1' }],
      ['__proto__', { __proto__x: '1' }],
      ['tenant_id', { tenant_id: 'globex' }],
      ['user_id', { user_id: 'bob' }],
    ])('form fields: %s', async (name, fields) => {
      const answer = await upload(url, alice, { filename: 'a.txt', content: 'Some text.', fields });
      expect(expectRefusal(answer, name)).toContain(name.slice(0, 9));
    });

    it('an empty file, no file, two files', async () => {
      expect(expectRefusal(await upload(url, alice, { filename: 'a.txt', content: '' }), 'empty')).toBe(
        'file',
      );
      const none = new FormData();
      none.append('title', 'x');
      const send = (body: FormData) => call(url, 'POST /v1/vault/documents', { key: alice, body });
      expect(expectRefusal(await send(none), 'none')).toBe('file');
      const two = new FormData();
      for (const name of ['a.txt', 'b.txt']) two.append('file', new Blob(['Some text.']), name);
      expect(expectRefusal(await send(two), 'two')).toBe('file');
    });

    const documents: [what: string, filename: string, content: () => Buffer][] = [
      ['an empty PDF', 'empty.pdf', () => makePdf([[]])],
      [
        'an encrypted PDF',
        'locked.pdf',
        () => makePdf([[{ text: 'Secret', y: 700 }]], { userPassword: 'x' }),
      ],
      ['a cut PDF', 'cut.pdf', () => makePdf([[{ text: 'Text', y: 700 }]]).subarray(0, 200)],
      ['a PDF that is none', 'none.pdf', () => Buffer.from('%PDF-1.7\nnothing of the kind')],
      ['a zip bomb in DOCX', 'bomb.docx', zipBomb],
      ['an archive', 'files.zip', () => makeZip([{ name: '../../evil.txt', content: 'x' }])],
      ['a cut DOCX', 'cut.docx', () => makeDocx('').subarray(0, 300)],
      ['a program', 'tool.exe', () => Buffer.from('MZ\u0090\u0000\u0003\u0000\u0000\u0000', 'latin1')],
      ['bytes that are no text', 'noise.txt', () => Buffer.from([0xff, 0xfe, 0x00, 0xd8, 0x80, 0x81, 0x00])],
    ];
    it.each(documents)('documents: %s', async (_what, filename, content) => {
      const answer = await upload(url, alice, { filename, content: content() });
      // A refusal at the door, or one that the document keeps: it says why, and holds nothing that is found.
      if (answer.status === 201) {
        const id = textAt(answer.json, 'document_id');
        expect(await documentSettled(url, alice, id)).toBe('failed');
        const { json: document } = await call(url, `GET /v1/vault/documents/${id}`, { key: alice });
        expect(at(document, 'error.code')).toMatch(
          /^(?:unreadable_document|unsupported_media_type|invalid_encoding)$/,
        );
        expect(textAt(document, 'error.message')).toMatch(/\w.*\.$/);
        expect(document).toMatchObject({ chunk_count: 0 });
        expect((await call(url, `DELETE /v1/vault/documents/${id}`, { key: alice })).status).toBe(204);
        await eventually('its deletion', async () => {
          const { status } = await call(url, `GET /v1/vault/documents/${id}`, { key: alice });
          return status === 404 ? true : undefined;
        });
      } else {
        expect(expectRefusal(answer, filename)).toBe('file');
      }
    });
  });
}

/** 300 MB of spaces in a third of a megabyte. */
function zipBomb(): Buffer {
  const others = docxEntries('').filter(({ name }) => name !== 'word/document.xml');
  return makeZip([...others, { name: 'word/document.xml', content: Buffer.alloc(300 * MIB, 0x20) }]);
}
