/** What the thread of the model is started with. */
export type OnnxWorkerData = Readonly<{ modelDirectory: string }>;

export type OnnxWorkerRequest =
  | Readonly<{ type: 'embed'; texts: readonly string[] }>
  | Readonly<{ type: 'close' }>;

/** `ready` or `unusable` comes once, before anything else; then one `embedded` or `failed` for each `embed`. */
export type OnnxWorkerReply =
  | Readonly<{ type: 'ready' }>
  | Readonly<{ type: 'unusable'; message: string }>
  | Readonly<{ type: 'embedded'; vectors: Float32Array<ArrayBuffer>[] }>
  | Readonly<{ type: 'failed'; message: string }>;
