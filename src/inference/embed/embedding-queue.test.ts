import { describe, expect, test } from 'vitest';
import { createEmbeddingQueue } from '#inference/embed/embedding-queue.ts';

/** One thread that says what it was given, a batch at a time, when it is let go on. */
function slowThread() {
  const batches: string[] = [];
  const waiting: (() => void)[] = [];
  return {
    batches,
    async run(texts: readonly string[]): Promise<Float32Array[]> {
      batches.push(texts.map((text) => text.slice(0, 2)).join(' '));
      await new Promise<void>((resolve) => waiting.push(resolve));
      return texts.map(() => new Float32Array(1));
    },
    async finish(work: Promise<unknown>) {
      let isOver = false;
      const ended = work.finally(() => {
        isOver = true;
      });
      while (!isOver) {
        waiting.shift()?.();
        await new Promise(setImmediate);
      }
      await ended;
    },
  };
}

/** As long as a batch. */
const long = (name: string) => name.padEnd(2_000, '.');

describe.each([[true], [false]])('jobs (urgent: %s)', (urgent) => {
  test('take turns by tenant, and those of one tenant among themselves', async () => {
    const thread = slowThread();
    const queue = createEmbeddingQueue([thread.run]);
    const submit = (tenantId: string, ...texts: string[]) =>
      queue.submit(texts.map(long), { urgent, tenantId }, undefined);
    await thread.finish(
      Promise.all([
        submit('globex', 'g1'),
        submit('globex', 'g2', 'g2'),
        submit('globex', 'g3'),
        submit('globex', 'g4'),
        submit('acme', 'a1', 'a1'),
        submit('initech', 'i1'),
        submit('acme', 'a2'),
      ]),
    );
    // The first is at work before the others come.
    expect(thread.batches).toEqual(['g1', 'g2', 'a1', 'i1', 'g3', 'a2', 'g4', 'a1', 'g2']);
  });

  test('that are given up leave the line, and nobody else behind', async () => {
    const thread = slowThread();
    const queue = createEmbeddingQueue([thread.run]);
    const leaving = new AbortController();
    const first = queue.submit([long('g1')], { urgent, tenantId: 'globex' }, undefined);
    const left = queue.submit([long('a1')], { urgent, tenantId: 'acme' }, leaving.signal);
    const last = queue.submit([long('a2')], { urgent, tenantId: 'acme' }, undefined);
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    await thread.finish(Promise.all([first, last]));
    expect(thread.batches).toEqual(['g1', 'a2']);
  });
});

test('a tenant’s urgent jobs go first, and its patient ones still end', async () => {
  const thread = slowThread();
  const queue = createEmbeddingQueue([thread.run]);
  const patient = queue.submit([long('p1'), long('p2')], { urgent: false, tenantId: 'acme' }, undefined);
  const urgent = Array.from({ length: 14 }, () =>
    queue.submit([long('u')], { urgent: true, tenantId: 'acme' }, undefined),
  );
  await thread.finish(Promise.all([patient, ...urgent]));
  expect(thread.batches.indexOf('p2')).toBe(13);
});

test('what waits when it closes is told so', async () => {
  const thread = slowThread();
  const queue = createEmbeddingQueue([thread.run]);
  const running = queue.submit([long('g1')], { urgent: false, tenantId: 'globex' }, undefined);
  const waiting = queue.submit([long('a1')], { urgent: true, tenantId: 'acme' }, undefined);
  const closed = queue.close(new Error('closed'));
  await expect(waiting).rejects.toThrow('closed');
  await thread.finish(closed);
  await running.catch(() => undefined);
  await expect(queue.submit(['x'], { urgent: true, tenantId: 'acme' }, undefined)).rejects.toThrow('closed');
});

/** Jobs of a tenant, of one batch each. */
const jobsOf = (
  queue: ReturnType<typeof createEmbeddingQueue>,
  tenantId: string,
  urgent: boolean,
  count: number,
) =>
  Array.from({ length: count }, () =>
    queue.submit([urgent ? tenantId.padEnd(400, '.') : long(tenantId)], { urgent, tenantId }, undefined),
  );

test('a flood of questions of one tenant leaves another that embeds texts its share', async () => {
  const thread = slowThread();
  const queue = createEmbeddingQueue([thread.run]);
  const questions = jobsOf(queue, 'q', true, 200);
  const texts = queue.submit(
    Array.from({ length: 10 }, () => long('t')),
    { urgent: false, tenantId: 't' },
    undefined,
  );
  await thread.finish(texts);
  // Five questions have the bytes of a text. Ahead are those that urgency allows for.
  expect(thread.batches.filter((batch) => batch.startsWith('q')).length).toBeLessThan(10 * 5 + 20);
  await thread.finish(Promise.all(questions));
});

test('a question of a tenant that rarely asks goes ahead of floods of questions and texts', async () => {
  const thread = slowThread();
  const queue = createEmbeddingQueue([thread.run]);
  const flood = [
    ...jobsOf(queue, 'q', true, 100),
    ...jobsOf(queue, 't', false, 100),
    ...jobsOf(queue, 'u', false, 100),
  ];
  await thread.finish(flood[10] ?? Promise.resolve());
  const before = thread.batches.length;
  const question = queue.submit(['rare'], { urgent: true, tenantId: 'r' }, undefined);
  await thread.finish(question);
  // One is at work when it comes, and each of the others may have been given a batch less.
  expect(thread.batches.slice(before).indexOf('ra')).toBeLessThanOrEqual(3);
  await thread.finish(Promise.all(flood));
});

test('a short text goes ahead of the rest of a long one of its own tenant', async () => {
  const thread = slowThread();
  const queue = createEmbeddingQueue([thread.run]);
  const document = queue.submit(
    Array.from({ length: 50 }, () => long('d')),
    { urgent: false, tenantId: 'acme' },
    undefined,
  );
  const note = queue.submit(['note'], { urgent: false, tenantId: 'acme' }, undefined);
  await thread.finish(note);
  expect(thread.batches.indexOf('no')).toBeLessThanOrEqual(2);
  await thread.finish(document);
});

test('shares are by length, also of scripts whose characters are several bytes', async () => {
  const thread = slowThread();
  const queue = createEmbeddingQueue([thread.run]);
  const chinese = Array.from({ length: 20 }, () =>
    queue.submit([`c${'\u4e2d'.repeat(400)}`], { urgent: false, tenantId: 'c' }, undefined),
  );
  const latin = Array.from({ length: 60 }, () =>
    queue.submit(['l'.padEnd(400, '.')], { urgent: false, tenantId: 'l' }, undefined),
  );
  await thread.finish(Promise.all(chinese));
  expect(thread.batches.filter((batch) => batch.startsWith('l')).length).toBeGreaterThan(50);
  await thread.finish(Promise.all(latin));
});
