import { expect, it } from 'vitest';
import { z } from 'zod';
import { runCli } from '#cli/run-cli.ts';
import { createTestIo } from '#test/support/test-io.ts';

const documentSchema = z.object({
  aws: z.null(),
  settings: z.array(z.object({ name: z.string(), source: z.string(), value: z.string().nullable() })),
});

const env = {
  DATABASE_URL: 'postgresql://bulkhead:hunter2@db.example/chat',
  API_KEY_PEPPER: 'hunter2'.repeat(6),
  PORT: '9000',
};

it('prints every setting with its source, secrets masked', async () => {
  const io = createTestIo({ env });
  expect(await runCli(['settings'], io)).toBe(0);
  expect(io.out()).toMatch(/^PORT +environment +9000$/m);
  expect(io.out()).toMatch(/^HOST +default +127\.0\.0\.1$/m);
  expect(io.out()).toMatch(/^DATABASE_URL +environment +postgresql:\/\/bulkhead:\*+@db\.example\/chat$/m);
  expect(io.out()).toMatch(/^API_KEY_PEPPER +environment +\*+$/m);
  expect(io.out()).not.toContain('hunter2');
});

it('prints those of one service, for programs as well', async () => {
  const io = createTestIo({ env });
  expect(await runCli(['settings', '--service', 'rag', '--json'], io)).toBe(0);
  const { settings } = documentSchema.parse(JSON.parse(io.out()));
  const names = settings.map(({ name }) => name);
  expect(names).toContain('PARSER_MEMORY_MB');
  expect(names).not.toContain('API_KEY_PEPPER');
  expect(settings.find(({ name }) => name === 'PORT')).toEqual({
    name: 'PORT',
    source: 'environment',
    value: '9000',
  });
});

it('says what is wrong in one line, and no value', async () => {
  const io = createTestIo({ env: { ...env, REDIS_URL: 'hunter2' } });
  expect(await runCli(['settings'], io)).toBe(1);
  expect(io.err()).toContain('REDIS_URL');
  expect(io.err() + io.out()).not.toContain('hunter2');
});
