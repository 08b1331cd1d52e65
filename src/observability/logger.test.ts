import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { createLogger } from '#observability/logger.ts';

function capture() {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString('utf8'));
      done();
    },
  });
  return { lines, logger: createLogger({ level: 'info', service: 'test', destination }) };
}

const key = `bk_${'0'.repeat(26)}_${'s'.repeat(43)}`;

test('a line is JSON with level, time, service, fields and message', () => {
  const { lines, logger } = capture();
  logger.child({ tenant_id: 'acme' }).info({ route: 'rag' }, 'done');
  logger.debug({}, 'below the level');
  expect(lines).toHaveLength(1);
  const line = JSON.parse(lines[0] ?? '');
  expect(line).toMatchObject({
    level: 'info',
    service: 'test',
    tenant_id: 'acme',
    route: 'rag',
    message: 'done',
  });
  expect(new Date(line.time).toISOString()).toBe(line.time);
});

test('credentials and bodies are hidden at any depth, and inside texts', () => {
  const { lines, logger } = capture();
  logger.info(
    {
      headers: { Authorization: `Bearer ${key}`, 'x-api-key': key, cookie: 'a=b' },
      request: { body: { message: 'private words' } },
      note: `the key ${key} and postgres://user:hunter2@db/x`,
    },
    `failed with Bearer ${key}`,
  );
  const text = lines.join('');
  for (const leak of ['s'.repeat(43), 'private words', 'hunter2', 'a=b']) expect(text).not.toContain(leak);
  expect(text).toContain('postgres://user:[hidden]@db/x');
});

test('errors carry their code and causes, and cycles end', () => {
  const { lines, logger } = capture();
  const cause = new Error(`connect failed for ${key}`);
  const loop: Record<string, unknown> = {};
  loop.loop = loop;
  logger.error({ err: new BulkheadError('internal_error', 'Something failed.', { cause }), loop }, 'no');
  const line = JSON.parse(lines[0] ?? '');
  expect(line.err).toMatchObject({ code: 'internal_error', cause: { name: 'Error' } });
  expect(line.err.cause.message).toBe('connect failed for bk_[hidden]');
});

test('the line of a request is what info would have written', () => {
  const { lines, logger } = capture();
  const child = logger.child({ replica: 'a' });
  const fields = {
    event: 'request',
    tenant_id: 'acme',
    token_usage: { total_tokens: 3 },
    model: 'quote " \n',
    chunk_ids: [],
  };
  child.record(fields, 'rag "200"');
  child.info(fields, 'rag "200"');
  const [recorded, informed] = lines.map((line) => ({ ...JSON.parse(line), time: null }));
  expect(recorded).toEqual(informed);
  expect(Object.keys(recorded)).toEqual(Object.keys(informed));
  expect(lines.every((line) => line.endsWith('}\n'))).toBe(true);
});

test('the line of a request hides credentials, and cuts what is long, as all lines do', () => {
  const { lines, logger } = capture();
  logger.record({ event: 'request', model: `gpt ${key}` }, 'chat 200');
  logger.record({ event: 'request', model: 'x'.repeat(20_000) }, 'chat 200');
  expect(lines.join('')).not.toContain('s'.repeat(43));
  expect(JSON.parse(lines[0] ?? '').model).toBe('gpt bk_[hidden]');
  expect(JSON.parse(lines[1] ?? '').model).toHaveLength(8_193);
});

test('the line of a request is not written below the level', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  createLogger({ level: 'warn', service: 'test', destination }).record({ event: 'request' }, 'chat 200');
  expect(lines).toEqual([]);
});
