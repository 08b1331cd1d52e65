import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { paceWords } from '#test/support/fleet/paced-engine.ts';
import { type Fleet, startFleet } from '#test/support/fleet/start-fleet.ts';
import { at, call, eventually } from '#test/support/http-client.ts';
import { readLedger } from '#test/support/read-ledger.ts';
import { createKey, createTenant } from '#test/support/tenants.ts';

const REDIS_URL = process.env.REDIS_URL ?? '';

/** A disk of its own, which can be filled: needs root. */
async function mountDisk(): Promise<string | null> {
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'pipe' });
    return directory;
  } catch {
    await rm(directory, { recursive: true, force: true });
    return null;
  }
}

const disk = POSTGRES_URL !== '' && REDIS_URL !== '' ? await mountDisk() : null;
if (disk === null) console.warn('SKIPPED: no PostgreSQL, no Redis, or no right to mount a disk.');

describe.skipIf(disk === null)(
  'the disk of the usage log is full, and the database is up',
  { timeout: 120_000 },
  () => {
    const root = disk ?? '';
    const filler = join(root, 'filler');
    let fleet: Fleet;
    let key: string;
    let drop: () => Promise<void>;

    beforeAll(async () => {
      const database = await createPostgresDatabase();
      drop = database.drop;
      mkdirSync(join(root, 'usage'));
      fleet = await startFleet({
        databaseUrl: database.url,
        redisUrl: REDIS_URL,
        routers: 1,
        orchestrators: 1,
        env: { USAGE_LOG_DIR: join(root, 'usage') },
      });
      await createTenant(fleet, { tenant_id: 'acme', display_name: 'acme' });
      key = await createKey(fleet, 'acme', { user_id: 'alice', role: 'service' });
    }, 120_000);
    afterAll(async () => {
      await fleet?.dispose();
      await drop?.();
      execFileSync('umount', [root]);
      await rm(root, { recursive: true, force: true });
    });

    function fill(): void {
      const block = Buffer.alloc(4_096, 'x');
      for (let size = block.length; size > 0; ) {
        try {
          appendFileSync(filler, block.subarray(0, size));
        } catch {
          size = size > 1 ? size >> 1 : 0;
        }
      }
    }

    it('complete answers have their rows, also when the router is killed right after them', async () => {
      const [router] = fleet.routers.members;
      if (router === undefined) throw new Error('There is one.');
      const pieces = 30;
      const messages = [{ role: 'user', content: paceWords({ pieces, pauseMs: 100 }) }];
      const asking = [true, false, true, false].map((stream) =>
        call(router.url, 'POST /v1/chat/completions', { key, json: { model: 'served', stream, messages } }),
      );
      await delay(1_500);
      fill();
      const answers = await Promise.all(asking);
      await fleet.routers.kill(router);

      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(answers.filter(({ text }) => text.endsWith('data: [DONE]\n\n'))).toHaveLength(2);
      rmSync(filler);
      // It takes over what the killed one has left.
      await fleet.routers.add();
      const ids = answers.map(({ headers }) => headers['x-request-id'] ?? '');
      const rows = await eventually('the rows are there', async () => {
        const ledger = await readLedger(fleet);
        const found = ids.map((id) => ledger.rows.get(id) ?? []);
        return found.every((list) => list.length > 0) ? found : undefined;
      });
      // Longer than it takes to find the log of the killed one.
      await delay(3_000);
      expect(
        rows.map((list) => list.map(({ outcome, token_usage }) => [outcome, token_usage.completion_tokens])),
      ).toEqual(Array(4).fill([['ok', pieces]]));
    });

    it('new turns are refused with a code that says so, and begin again when there is room', async () => {
      fill();
      // Past the front: a router that cannot write its own log is not ready, and the front sends it nothing.
      const url = fleet.routers.members.at(-1)?.url ?? '';
      const ask = () =>
        call(url, 'POST /v1/chat/completions', {
          key,
          json: { model: 'served', messages: [{ role: 'user', content: 'hello' }] },
        });
      const refused = await eventually('a turn is refused', async () => {
        const answer = await ask();
        return answer.status === 200 ? undefined : answer;
      });
      expect([refused.status, at(refused.json, 'error.code')]).toEqual([503, 'storage_full']);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      rmSync(filler);
      await eventually('turns begin again', async () => ((await ask()).status === 200 ? true : undefined));
      expect(await fleet.unexpectedExits()).toEqual([]);
    });
  },
);
