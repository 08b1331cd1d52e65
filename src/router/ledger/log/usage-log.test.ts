import { existsSync, symlinkSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UsageRecord } from '#app/schemas/usage.ts';
import { silentLogger } from '#observability/logger.ts';
import { storableUsage } from '#router/ledger/insert-usage.ts';
import { listSegments } from '#router/ledger/log/log-directories.ts';
import { decodeLine, encodeRow } from '#router/ledger/log/log-line.ts';
import { Segment } from '#router/ledger/log/segment.ts';
import { settleLog } from '#router/ledger/log/settle-log.ts';
import { openUsageLog, type SealedSegment, type UsageLog } from '#router/ledger/log/usage-log.ts';
import { testContext } from '#test/support/test-context.ts';
import { begunTurn, usageRow } from '#test/support/usage-row.ts';

const alice = testContext('acme', 'alice');
let directory: string;
let log: UsageLog;
const open = (options: Partial<Parameters<typeof openUsageLog>[0]> = {}) =>
  openUsageLog({ directory, syncEach: false, now: Date.now, logger: silentLogger, ...options });

/** What the next process would make of the files as they are now. */
const rowsOf = ({ rows }: SealedSegment) => rows?.map(({ row }) => row) ?? null;

async function settled(): Promise<UsageRecord[]> {
  const rows: UsageRecord[] = [];
  for await (const { row } of settleLog(await listSegments(directory), silentLogger)) rows.push(row);
  return rows;
}

const progressOf = (request_id: string, prompt_tokens: number, completion_tokens: number, estimated = 0) => ({
  request_id,
  route: 'direct',
  model: 'served',
  prompt_tokens,
  completion_tokens,
  estimated_prompt_tokens: estimated,
  cost_usd_estimate: 0.5,
  price_version: 3,
});

describe('a line', () => {
  it('comes back as it was, with what cannot be stored as text replaced', () => {
    const row = usageRow(alice, { model: 'a\0b\ud800c', refusal_reason: 'line\nbreak ü' });
    const line = encodeRow(storableUsage(row));
    expect(line.endsWith('\n') && !line.slice(0, -1).includes('\n')).toBe(true);
    const stored = { ...row, model: 'a\ufffdb\ufffdc' };
    expect(decodeLine(line.slice(0, -1))).toEqual({ kind: 'entry', entry: { t: 'row', row: stored } });
  });

  it('is torn where any character is missing or another one', () => {
    const line = encodeRow(storableUsage(usageRow(alice))).slice(0, -1);
    for (let length = 0; length < line.length; length++) {
      expect(decodeLine(line.slice(0, length)).kind).toBe('torn');
    }
    expect(decodeLine(line.replace('"prompt_tokens":10', '"prompt_tokens":99')).kind).toBe('torn');
  });

  it('of another version is known as such', () => {
    // A line of a version that writes something else, with its right checksum.
    expect(decodeLine('551c74f9 {"t":"else"}')).toEqual({ kind: 'unknown' });
  });
});

describe('the log', () => {
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bulkhead-usage-log-'));
  });
  afterEach(async () => {
    log.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('has the rows of a sealed segment at hand, and where too many wait, in its file alone', async () => {
    log = open({ maxKeptRows: 3 });
    const rows = Array.from({ length: 4 }, () => usageRow(alice));
    const [first, second, third, fourth] = rows;
    if (first === undefined || second === undefined || third === undefined || fourth === undefined) return;
    await Promise.all([log.end(storableUsage(first)), log.end(storableUsage(second))]);
    log.seal();
    await Promise.all([log.end(storableUsage(third)), log.end(storableUsage(fourth))]);
    log.seal();
    expect(log.sealed().map(rowsOf)).toEqual([[first, second], null]);
    expect(await settled()).toEqual(rows);
    const [oldest] = log.sealed();
    if (oldest !== undefined) await log.remove(oldest);
    await log.end(storableUsage(first));
    log.seal();
    // There is room again.
    expect(log.sealed().map(rowsOf)).toEqual([null, [first]]);
  });

  it('has a row in its file when it says so, many of one turn of the loop with one write', async () => {
    log = open();
    const rows = Array.from({ length: 100 }, () => usageRow(alice));
    expect(await Promise.all(rows.map((row) => log.end(storableUsage(row))))).toEqual(rows.map(() => true));
    expect(await settled()).toEqual(rows);
    expect(log.bytes()).toBeGreaterThan(100 * 300);
  });

  it('knows the tokens of turns that nobody finished, over any number of segments', async () => {
    log = open();
    const [silent, streaming, done] = [begunTurn(alice), begunTurn(alice), begunTurn(alice)];
    for (const turn of [silent, streaming, done]) expect(await log.begin(turn)).toBe(true);
    log.progress(progressOf(streaming.request_id, 0, 1, 90));
    log.progress(progressOf(streaming.request_id, 7, 4));
    const row = usageRow(alice, { request_id: done.request_id });
    await log.end(storableUsage(row));
    log.seal();
    // The first segment is shipped: what goes on is in the second.
    for (const segment of log.sealed()) await log.remove(segment);
    log.progress(progressOf(done.request_id, 1, 1));
    await delay(50);
    const rows = await settled();
    expect(rows).toMatchObject([
      {
        request_id: silent.request_id,
        outcome: 'aborted',
        token_usage: { total_tokens: 0 },
        created_at: silent.at,
      },
      {
        request_id: streaming.request_id,
        outcome: 'aborted',
        status: 499,
        model: 'served',
        token_usage: { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11 },
        cost_usd_estimate: 0.5,
        price_version: 3,
      },
    ]);
    expect(await settled()).toEqual(rows);
  });

  it('goes on after a line that a kill cut off, wherever it was cut', async () => {
    log = open();
    const [first, second] = [usageRow(alice), usageRow(alice)];
    await log.end(storableUsage(first));
    await log.end(storableUsage(second));
    const [path = ''] = await listSegments(directory);
    const whole = (await readFile(path)).length;
    const lastLine = encodeRow(storableUsage(second)).length;
    for (const cut of [1, 2, lastLine >> 1, lastLine - 1]) {
      await truncate(path, whole - cut);
      // A missing line break alone loses nothing.
      expect(await settled()).toEqual(cut === 1 ? [first, second] : [first]);
    }
    await appendFile(path, `garbage\n${encodeRow(storableUsage(second))}`);
    expect(await settled()).toEqual([first, second]);
  });

  it('keeps what a full disk does not take, says so, and writes it when there is room', async () => {
    let isFull = true;
    log = open({
      openSegment(path) {
        if (!isFull) return new Segment(path);
        symlinkSync('/dev/full', path);
        return new Segment(path, 'a');
      },
    });
    const row = usageRow(alice);
    const written = log.end(storableUsage(row));
    expect(await log.begin(begunTurn(alice))).toBe(false);
    expect(await written).toBe(false);
    expect(log.failure()).toMatchObject({ code: 'ENOSPC' });
    expect(log.unwritten().map((usage) => usage.row)).toEqual([row]);
    isFull = false;
    while (log.failure() !== null) await delay(20);
    expect(log.unwritten()).toEqual([]);
    // The link to the full device: what is read from it has no end.
    await rm(join(directory, '0000000001.log'));
    expect((await settled()).map(({ outcome }) => outcome)).toEqual(['ok', 'aborted']);
  });

  it('does not write over a file that is there', async () => {
    await writeFile(join(directory, '0000000002.log'), 'somebody’s');
    log = open();
    await log.end(storableUsage(usageRow(alice)));
    log.seal();
    expect(log.failure()).toMatchObject({ code: 'EEXIST' });
    while (log.failure() !== null) await delay(20);
    expect(await readFile(join(directory, '0000000002.log'), 'utf8')).toBe('somebody’s');
    expect(existsSync(join(directory, '0000000003.log'))).toBe(true);
    expect(await log.end(storableUsage(usageRow(alice)))).toBe(true);
    expect(await settled()).toHaveLength(2);
  });

  it('waits for the disk where every row must be on it', async () => {
    log = open({ syncEach: true });
    const rows = Array.from({ length: 20 }, () => usageRow(alice));
    const written = await Promise.all(
      rows.map(async (row, index) => {
        await delay(index);
        return log.end(storableUsage(row));
      }),
    );
    expect(written.every(Boolean)).toBe(true);
    expect((await settled()).map(({ request_id }) => request_id).sort()).toEqual(
      rows.map(({ request_id }) => request_id).sort(),
    );
  });

  it('takes nothing once it is closed', async () => {
    log = open();
    await log.end(storableUsage(usageRow(alice)));
    log.close();
    expect(await log.end(storableUsage(usageRow(alice)))).toBe(false);
    expect(log.sealed()).toHaveLength(1);
    expect(await settled()).toHaveLength(1);
  });
});
