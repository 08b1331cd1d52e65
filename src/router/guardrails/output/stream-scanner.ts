import type { DetectorName } from '#router/guardrails/detectors/finding.ts';

/** A finding in a stream. Offsets count UTF-16 units from the stream's beginning. */
export type StreamFinding = Readonly<{
  detector: DetectorName;
  kind: string;
  action: 'flag' | 'redact' | 'refuse';
  start: number;
  end: number;
}>;

/**
 * Scans a stream as it comes. All findings that begin before `scannedTo` are known and final, and they are the same
 * however the stream was cut into pieces.
 */
export interface StreamScanner {
  readonly scannedTo: number;
  /** Findings since the last call; one that goes on is told in pieces that touch. */
  push(text: string): StreamFinding[];
  /** No more text comes: everything is scanned. */
  end(): StreamFinding[];
}

/** A text that grows at its end and is forgotten at its beginning. */
export class SlidingText {
  #text = '';
  /** Offset in the stream of the first unit that is kept. */
  #base = 0;

  get length(): number {
    return this.#base + this.#text.length;
  }

  append(text: string): void {
    this.#text += text;
  }

  /** Offsets are the stream's; what was forgotten is left out. */
  slice(start: number, end: number): string {
    return this.#text.slice(Math.max(0, start - this.#base), Math.max(0, end - this.#base));
  }

  charCodeAt(index: number): number {
    return this.#text.charCodeAt(index - this.#base);
  }

  forgetBefore(offset: number): void {
    const drop = offset - this.#base;
    if (drop <= 0) return;
    this.#text = this.#text.slice(drop);
    this.#base = offset;
  }
}
