import type { Span } from '#router/guardrails/normalise/text-view.ts';
import {
  SlidingText,
  type StreamFinding,
  type StreamScanner,
} from '#router/guardrails/output/stream-scanner.ts';

/** Where a stream may be cut so that nothing that a detector looks for lies across the cut. */
export type SegmentPolicy = Readonly<{
  /** Text before a segment that detectors see as context. */
  context: number;
  /** A longer segment is cut anyway, and detectors see `lookAhead` units past the cut. */
  maxSegment: number;
  lookAhead: number;
  /** True where the segment `[start, at)` of the text is complete. Called at each `at` in turn. */
  endsAt: (text: SlidingText, start: number, at: number) => boolean;
}>;

export type SegmentDetector = (
  text: string,
) => readonly (Span & Pick<StreamFinding, 'detector' | 'kind' | 'action'>)[];

/**
 * Scans segment by segment. Where the segments end depends on the text alone, and detectors see the same context of
 * each, so the findings do not depend on how the stream was cut. At most `maxSegment + lookAhead` units are held.
 */
export function createSegmentScanner(policy: SegmentPolicy, detect: SegmentDetector): StreamScanner {
  const text = new SlidingText();
  let start = 0;
  /** Units of the segment that were looked at already. */
  let examined = 0;
  /** Up to here an earlier finding reaches. */
  let covered = 0;

  const scan = (end: number, seen: number): StreamFinding[] => {
    const from = Math.max(0, start - policy.context);
    const findings: StreamFinding[] = [];
    for (const finding of detect(text.slice(from, seen))) {
      const begin = finding.start + from;
      const stop = finding.end + from;
      // What began earlier was found with the segment before; what begins later comes with the next.
      if (begin >= start && begin < end) findings.push({ ...finding, start: begin, end: stop });
      else if (begin < start && stop > Math.max(start, covered))
        findings.push({ ...finding, start, end: stop });
    }
    findings.sort((a, b) => a.start - b.start || b.end - a.end);
    covered = findings.reduce((most, finding) => Math.max(most, finding.end), covered);
    start = end;
    examined = end;
    text.forgetBefore(start - policy.context);
    return findings;
  };

  return {
    get scannedTo() {
      return start;
    },
    push(delta) {
      text.append(delta);
      const findings: StreamFinding[] = [];
      for (;;) {
        const limit = start + policy.maxSegment;
        while (examined < Math.min(text.length, limit) && !policy.endsAt(text, start, examined + 1))
          examined++;
        if (examined < Math.min(text.length, limit)) findings.push(...scan(examined + 1, examined + 1));
        else if (examined >= limit && text.length >= limit + policy.lookAhead) {
          findings.push(...scan(whole(text, limit), limit + policy.lookAhead));
        } else return findings;
      }
    },
    end() {
      const findings: StreamFinding[] = [];
      // A segment that waits for look-ahead still ends where it would have.
      while (text.length > start + policy.maxSegment) {
        findings.push(...scan(whole(text, start + policy.maxSegment), text.length));
        while (start < text.length && examined < Math.min(text.length, start + policy.maxSegment)) {
          examined++;
          if (policy.endsAt(text, start, examined)) findings.push(...scan(examined, examined));
        }
      }
      if (text.length > start) findings.push(...scan(text.length, text.length));
      return findings;
    },
  };
}

/** Not between the halves of a surrogate pair. */
const whole = (text: SlidingText, at: number): number => {
  const code = text.charCodeAt(at - 1);
  return code >= 0xd800 && code <= 0xdbff ? at - 1 : at;
};
