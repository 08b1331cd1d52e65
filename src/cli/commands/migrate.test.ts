import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCli } from '#cli/run-cli.ts';
import { createTestIo } from '#test/support/test-io.ts';

it('migrates an embedded database that no server uses, and changes nothing with --check', async () => {
  const root = await mkdtemp(join(tmpdir(), 'bulkhead-migrate-'));
  const data = join(root, 'data');
  const cli = async (...args: string[]) => {
    const io = createTestIo({ cwd: root, env: { BULKHEAD_DATA_DIR: data } });
    return { code: await runCli(args, io), out: io.out(), err: io.err() };
  };
  try {
    const before = await cli('migrate', '--check');
    expect(before).toMatchObject({ code: 3, err: 'The database lacks something: run `bulkhead migrate`.\n' });
    expect(before.out).toContain('pending: 0004-audit.sql\n');
    expect(existsSync(data)).toBe(false);
    expect(await cli('migrate')).toEqual({ code: 0, out: 'The database is up to date.\n', err: '' });
    expect(await cli('migrate', '--check')).toEqual({
      code: 0,
      out: 'The database is up to date.\n',
      err: '',
    });
    expect(existsSync(join(data, 'bulkhead.lock'))).toBe(false);
    expect(await cli('migrate', '--roles')).toMatchObject({ code: 2 });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
