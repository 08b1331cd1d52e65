import {
  SlidingText,
  type StreamFinding,
  type StreamScanner,
} from '#router/guardrails/output/stream-scanner.ts';
import { redactionOf } from '#router/guardrails/redact.ts';

/** The text that all scanners are done with, redacted. What comes out does not depend on how the text was cut. */
export class TextGate {
  readonly #scanners: readonly StreamScanner[];
  readonly #onFinding: (finding: StreamFinding) => void;
  readonly #text = new SlidingText();
  #findings: StreamFinding[] = [];
  #released = 0;
  /** Up to here the last redaction reaches. */
  #redactedTo = -1;
  #redactedKind = '';

  /** `onFinding` is told of everything as soon as it is known, and may throw to refuse. */
  constructor(scanners: readonly StreamScanner[], onFinding: (finding: StreamFinding) => void) {
    this.#scanners = scanners;
    this.#onFinding = onFinding;
  }

  /** How much of the text has come out, redacted or not. */
  get releasedTo(): number {
    return this.#released;
  }

  get length(): number {
    return this.#text.length;
  }

  /** How far the last redaction reaches, which may be beyond what has come out; -1 where there is none. */
  get redactedTo(): number {
    return this.#redactedTo;
  }

  push(text: string): string {
    this.#text.append(text);
    let safe = this.#text.length;
    for (const scanner of this.#scanners) {
      this.#take(scanner.push(text));
      safe = Math.min(safe, scanner.scannedTo);
    }
    return this.#release(safe);
  }

  end(): string {
    for (const scanner of this.#scanners) this.#take(scanner.end());
    return this.#release(this.#text.length);
  }

  #take(findings: readonly StreamFinding[]): void {
    for (const finding of findings) {
      this.#onFinding(finding);
      if (finding.action === 'redact') this.#findings.push(finding);
    }
  }

  #release(safe: number): string {
    if (this.#findings.length === 0) {
      const plain = this.#plain(safe);
      this.#text.forgetBefore(this.#released);
      return plain;
    }
    const ready = this.#findings.filter(({ start }) => start < safe);
    this.#findings = this.#findings.filter(({ start }) => start >= safe);
    ready.sort((a, b) => a.start - b.start || b.end - a.end || (a.kind < b.kind ? -1 : 1));
    let released = '';
    for (const { start, end, kind } of ready) {
      if (end <= this.#redactedTo) continue;
      if (start > this.#redactedTo) released += this.#plain(start);
      // A key is told in pieces that touch: what begins where one ends is inside the key, if a next piece begins there too.
      const goesOn =
        start < this.#redactedTo ||
        (start === this.#redactedTo &&
          ready.some((other) => other.start === start && other.kind === this.#redactedKind));
      if (!goesOn) {
        released += redactionOf(kind);
        this.#redactedKind = kind;
      }
      this.#redactedTo = end;
    }
    released += this.#plain(safe);
    this.#text.forgetBefore(this.#released);
    return released;
  }

  /** The text up to here that is not redacted. */
  #plain(to: number): string {
    const from = Math.max(this.#released, this.#redactedTo);
    this.#released = Math.max(this.#released, to);
    return to > from ? this.#text.slice(from, to) : '';
  }
}
