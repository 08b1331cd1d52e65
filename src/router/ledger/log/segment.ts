import { close, fdatasync, openSync, writeSync } from 'node:fs';

/** One file of the usage log, open for appending. */
export class Segment {
  readonly path: string;
  bytes = 0;
  /** Ends of requests in it: a segment without any has nothing for the database. */
  rows = 0;
  #isSynced = true;
  #syncsUnderWay = 0;
  #isSealed = false;
  readonly #fd: number;

  /** Throws where the file cannot be made; with `ax`, also where it exists. */
  constructor(path: string, flags: 'ax' | 'a' = 'ax') {
    this.path = path;
    this.#fd = openSync(path, flags, 0o600);
  }

  /** Returns when the system has all of it: from then on it survives the end of this process, however sudden. */
  append(text: string): void {
    const bytes = Buffer.from(text);
    this.#isSynced = false;
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#fd, bytes, written, bytes.length - written);
    }
    this.bytes += bytes.length;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Has the disk keep what is appended so far; from then on it survives the end of the machine. */
  sync(done: (error: Error | null) => void): void {
    this.#syncsUnderWay += 1;
    this.#isSynced = true;
    fdatasync(this.#fd, (error) => {
      this.#syncsUnderWay -= 1;
      this.#closeWhenIdle();
      done(error);
    });
  }

  /** Nothing is appended from now on. */
  seal(done: (error: Error | null) => void): void {
    this.#isSealed = true;
    this.sync(done);
  }

  #closeWhenIdle(): void {
    // A file that is closed under a call that waits for a thread would be another file by then.
    if (this.#isSealed && this.#syncsUnderWay === 0) close(this.#fd, () => undefined);
  }
}
