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

test('urgent jobs go first, and patient ones are not forgotten', async () => {
  const thread = slowThread();
  const queue = createEmbeddingQueue([thread.run]);
  const patient = queue.submit([long('p1'), long('p2')], { urgent: false, tenantId: 'acme' }, undefined);
  const urgent = Array.from({ length: 14 }, () =>
    queue.submit([long('u')], { urgent: true, tenantId: 'globex' }, undefined),
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
