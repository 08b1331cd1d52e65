import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import { startOnnxThread } from '#inference/embed/onnx-thread.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';

afterEach(() => vi.restoreAllMocks());

test('a thread that died is started anew by the next run', async () => {
  const started: Worker[] = [];
  const unref = Worker.prototype.unref;
  vi.spyOn(Worker.prototype, 'unref').mockImplementation(function (this: Worker) {
    if (!started.includes(this)) started.push(this);
    unref.call(this);
  });
  const thread = await startOnnxThread({ modelDirectory: SHIPPED_MODEL_DIRECTORY });
  const before = await thread.embed(['hello']);

  const [worker] = started;
  if (worker === undefined) throw new Error('no worker was started');
  // Between two runs: in a run, ONNX Runtime would abort the process. What is asked of the dying thread is not lost.
  const exited = once(worker, 'exit');
  const terminated = worker.terminate();
  await expect(thread.embed(['hello'])).rejects.toThrow(/ended with code/);
  await Promise.all([exited, terminated]);

  expect(await thread.embed(['hello'])).toEqual(before);
  expect(started).toHaveLength(2);
  await thread.close();
});
