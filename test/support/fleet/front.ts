/** What stands before the replicas of a service. */
export type Front = Readonly<{
  /** Where its clients find it; it stays the same whatever becomes of the backends. */
  url: string;
  add(backend: string): void;
  remove(backend: string): void;
  isReady(backend: string): boolean;
  close(): Promise<void>;
}>;
