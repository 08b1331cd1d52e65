import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { ModelFilesError } from '#inference/embed/model-manifest.ts';
import type {
  OnnxWorkerData,
  OnnxWorkerReply,
  OnnxWorkerRequest,
} from '#inference/embed/onnx-worker-messages.ts';

/** The model in a thread of its own. One run at a time: the caller waits for one before it asks for the next. */
export type OnnxThread = {
  embed(texts: readonly string[]): Promise<Float32Array[]>;
  /** Resolves when the thread has ended, or when its run takes too long: it ends by itself after that. */
  close(): Promise<void>;
};

const CLOSE_TIMEOUT_MS = 5_000;

/** Resolves when the model is loaded; throws a ModelFilesError when it cannot be. A thread that dies later is started anew by the next run. */
export async function startOnnxThread(data: OnnxWorkerData): Promise<OnnxThread> {
  let worker = await startWorker(data);
  return {
    async embed(texts) {
      // A thread that has ended has no id any more, and would never answer.
      if (worker.threadId === -1) worker = await startWorker(data);
      // An idle model does not keep the process alive; a run does.
      worker.ref();
      try {
        const reply = await ask(worker, { type: 'embed', texts });
        if (reply.type === 'embedded') return reply.vectors;
        throw new Error(
          `The embedding model failed: ${reply.type === 'failed' ? reply.message : reply.type}`,
        );
      } finally {
        worker.unref();
      }
    },
    async close() {
      if (worker.threadId === -1) return;
      const tooLate = new AbortController();
      const exited = once(worker, 'exit', { signal: tooLate.signal });
      worker.ref();
      const timer = setTimeout(() => tooLate.abort(), CLOSE_TIMEOUT_MS);
      worker.postMessage({ type: 'close' } satisfies OnnxWorkerRequest);
      try {
        await exited;
      } catch {
        // It is never terminated: ONNX Runtime aborts the whole process when its thread is stopped in a run.
        worker.unref();
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

async function startWorker(data: OnnxWorkerData): Promise<Worker> {
  // Beside this file in the sources and in the build, where the ending differs.
  const file = import.meta.url.endsWith('.ts') ? './onnx-worker.ts' : './onnx-worker.js';
  const worker = withErrorListener(
    new Worker(new URL(file, import.meta.url), { workerData: data, name: 'embedder' }),
  );
  const reply = await nextReply(worker);
  if (reply.type === 'unusable') throw new ModelFilesError(reply.message);
  worker.unref();
  return worker;
}

function ask(worker: Worker, request: OnnxWorkerRequest): Promise<OnnxWorkerReply> {
  const reply = nextReply(worker);
  worker.postMessage(request);
  return reply;
}

/** The thread's next message, or its end as an error. */
function nextReply(worker: Worker): Promise<OnnxWorkerReply> {
  return new Promise((resolve, reject) => {
    const onMessage = (reply: OnnxWorkerReply): void => {
      stopListening();
      resolve(reply);
    };
    const onError = (error: Error): void => {
      stopListening();
      reject(error);
    };
    const onExit = (code: number): void => {
      stopListening();
      reject(new Error(`The thread of the embedding model ended with code ${code}.`));
    };
    const stopListening = (): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  });
}
