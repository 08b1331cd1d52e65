import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PgliteThread, startPgliteThread } from '#app/database/pglite-thread.ts';

let pglite: PgliteThread;

beforeAll(async () => {
  pglite = await startPgliteThread({});
  await pglite.exec(`CREATE TABLE notes (id int PRIMARY KEY, text text, bytes bytea, at timestamptz, list text[], data jsonb);
    INSERT INTO notes (id, text) VALUES (0, 'first');`);
});

afterAll(() => pglite.close());

const ids = async () =>
  (await pglite.query<{ id: number }>('SELECT id FROM notes ORDER BY id')).rows.map(({ id }) => id);

describe('a transaction', () => {
  it('is committed when its work resolves', async () => {
    const result = await pglite.transaction(null, async ({ query }) => {
      await query('INSERT INTO notes (id) VALUES (1)');
      return 'done';
    });
    expect(result).toBe('done');
    expect(await ids()).toEqual([0, 1]);
  });

  it('keeps nothing when its work throws, and its error comes through', async () => {
    const error = new Error('stop');
    const failing = pglite.transaction(null, async ({ query }) => {
      await query('INSERT INTO notes (id) VALUES (2)');
      throw error;
    });
    await expect(failing).rejects.toBe(error);
    expect(await ids()).toEqual([0, 1]);
  });

  it('keeps nothing after a statement that failed, even where its work goes on', async () => {
    await pglite.transaction(null, async ({ query }) => {
      await query('INSERT INTO notes (id) VALUES (3)');
      await query('SELECT no_such_column').catch(() => undefined);
    });
    expect(await ids()).toEqual([0, 1]);
  });

  it('waits for those before it', async () => {
    const seen: string[] = [];
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const first = pglite.transaction(null, async ({ query }) => {
      await query('SELECT 1');
      await held;
      seen.push('first');
    });
    const second = pglite.transaction(null, async ({ query }) => {
      await query('SELECT 1');
      seen.push('second');
    });
    const lone = pglite.query('SELECT 1').then(() => seen.push('lone'));
    letGo();
    await Promise.all([first, second, lone]);
    expect(seen[0]).toBe('first');
  });

  it('whose scope cannot be entered runs nothing', async () => {
    const entered = pglite.transaction(['no_such_role', '', '', ''], async ({ query }) => {
      await query('DELETE FROM notes');
    });
    await expect(entered).rejects.toThrow(/no_such_role/);
    expect(await ids()).toEqual([0, 1]);
    await pglite.query('SELECT 1');
  });

  it('that has ended answers nothing more', async () => {
    let late: Promise<unknown> | undefined;
    await pglite.transaction(null, async (session) => {
      late = Promise.resolve().then(async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return session.query('SELECT 1');
      });
    });
    await expect(late).rejects.toThrow(/ended/);
  });
});

describe('values and errors on their way between the threads', () => {
  it('values come back as they went', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    const bytes = new Uint8Array([0, 1, 255]);
    await pglite.query('INSERT INTO notes VALUES (9, $1, $2, $3, $4, $5)', [
      'é"\u2028',
      bytes,
      at,
      ['a', 'b,c'],
      { x: [1, null] },
    ]);
    const { rows } = await pglite.query('SELECT * FROM notes WHERE id = 9');
    expect(rows).toEqual([
      { id: 9, text: 'é"\u2028', bytes, at, list: ['a', 'b,c'], data: { x: [1, null] } },
    ]);
  });

  it('an error has PostgreSQL’s code and constraint, and no values of the statement', async () => {
    const error: unknown = await pglite
      .query('INSERT INTO notes (id, text) VALUES (0, $1)', ['a secret'])
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: '23505', constraint: 'notes_pkey', message: /duplicate key/ });
    expect(JSON.stringify(error)).not.toContain('a secret');
  });

  it('what cannot travel is refused, and holds nothing up', async () => {
    await expect(pglite.query('SELECT $1', [() => undefined])).rejects.toThrow(/could not be cloned/);
    expect(await ids()).toContain(0);
  });
});

it('tells of what is notified until it is stopped', async () => {
  const heard: string[] = [];
  const stop = await pglite.listen('bell', (payload) => heard.push(payload));
  await pglite.query(`SELECT pg_notify('bell', 'one')`);
  await expect.poll(() => heard).toEqual(['one']);
  await stop();
  await pglite.query(`SELECT pg_notify('bell', 'two')`);
  await pglite.query('SELECT 1');
  expect(heard).toEqual(['one']);
});

it('a closed one says so', async () => {
  const other = await startPgliteThread({});
  await Promise.all([other.close(), other.close()]);
  expect(other.closed).toBe(true);
  await expect(other.query('SELECT 1')).rejects.toMatchObject({ code: 'service_unavailable' });
  await expect(other.transaction(null, ({ query }) => query('SELECT 1'))).rejects.toMatchObject({
    code: 'service_unavailable',
  });
});

it('a directory that cannot be used is an error', async () => {
  await expect(startPgliteThread({ directory: '/dev/null/nowhere' })).rejects.toThrow();
});
