import { parentPort, workerData } from 'node:worker_threads';
import { loadOnnxModel, type OnnxModel } from '#inference/embed/onnx-model.ts';
import type {
  OnnxWorkerData,
  OnnxWorkerReply,
  OnnxWorkerRequest,
} from '#inference/embed/onnx-worker-messages.ts';

/**
 * The thread that the model runs in. `session.run()` of onnxruntime-node computes synchronously, so on the
 * main thread every embedding would stop the whole service for its length.
 */
if (parentPort === null) throw new Error('onnx-worker.ts runs as a worker thread only.');
const port = parentPort;
const reply = (message: OnnxWorkerReply, transfer: ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);

// The only sender is onnx-thread.ts, which uses the same types.
const { modelDirectory } = workerData as OnnxWorkerData;

try {
  serve(await loadOnnxModel(modelDirectory));
} catch (error) {
  // Told as a message, since an error loses its type on the way out of a thread.
  reply({ type: 'unusable', message: messageOf(error) });
}

function serve(model: OnnxModel): void {
  port.on('message', (request: OnnxWorkerRequest) => {
    if (request.type === 'close') {
      void model.release().finally(() => port.close());
      return;
    }
    model.embed(request.texts).then(
      (vectors) => {
        reply(
          { type: 'embedded', vectors },
          vectors.map(({ buffer }) => buffer),
        );
      },
      (error: unknown) => reply({ type: 'failed', message: messageOf(error) }),
    );
  });
  reply({ type: 'ready' });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
