/** A server that a launcher started: what tests need to reach it, and how to end it. */
export type StartedServer = Readonly<{
  name: string;
  /** Environment variables by which tests find it. */
  env: Readonly<Record<string, string>>;
  /** The process itself; absent where it is not one process. */
  pid?: number;
  stop(): Promise<void>;
}>;

/** Thrown by a launcher whose program is not on this machine. */
export class NotInstalledError extends Error {
  override readonly name = 'NotInstalledError';
}
