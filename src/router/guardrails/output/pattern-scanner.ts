import type { RE2JS } from 're2js';
import {
  SlidingText,
  type StreamFinding,
  type StreamScanner,
} from '#router/guardrails/output/stream-scanner.ts';
import type { CompiledPattern } from '#router/policy/compile-policy.ts';
import { PatternTime } from '#router/policy/pattern-time.ts';

/** A tenant's pattern, compiled by a linear-time engine. */
export type OutputPattern = Pick<CompiledPattern, 'name' | 'action' | 'matcher'>;

/** Matches up to this long are always found, wherever the stream was cut; of a longer one, this much. */
export const MAX_PATTERN_MATCH = 256;
/** Patterns run once for so many units: fewer hold less text back, and cost more. */
const STEP = 64;
/** What they may take on an answer. */
const PATTERN_TIME = { baseMs: 5_000, perCharacterMs: 0.05 };

export type Span = Readonly<{ start: number; end: number }>;

/** All matches in a text that is there as a whole, with a break after each. */
export function* spansOf(pattern: RE2JS, text: string, time: PatternTime): Generator<void, Span[]> {
  const matcher = pattern.matcher(text);
  const spans: Span[] = [];
  while (time.spend(() => matcher.find())) {
    if (matcher.end() > matcher.start()) spans.push({ start: matcher.start(), end: matcher.end() });
    yield;
  }
  return spans;
}

/**
 * Tenant patterns are arbitrary, so any place may lie within a match. The stream is scanned in steps of fixed places,
 * each with {@link MAX_PATTERN_MATCH} units of text before and after, and matches that begin within the step count.
 * At most {@link MAX_PATTERN_MATCH} plus a step are held.
 */
export function createPatternScanner(patterns: readonly OutputPattern[]): StreamScanner {
  const text = new SlidingText();
  const time = new PatternTime(PATTERN_TIME);
  let start = 0;

  const scan = (end: number, seen: number): StreamFinding[] => {
    const from = Math.max(0, start - MAX_PATTERN_MATCH);
    const window = text.slice(from, seen);
    const findings: StreamFinding[] = [];
    for (const { name, action, matcher } of patterns) {
      const matches = matcher.matcher(window);
      for (let at = Math.max(0, start - from); at <= window.length && time.spend(() => matches.find(at)); ) {
        const begin = matches.start() + from;
        const stop = matches.end() + from;
        if (begin >= end) break;
        if (begin >= start && stop > begin)
          findings.push({ detector: 'sensitive_pattern', kind: name, action, start: begin, end: stop });
        // Every beginning counts, so that the result does not depend on where a search began.
        at = matches.start() + 1;
      }
    }
    findings.sort((a, b) => a.start - b.start || b.end - a.end);
    start = end;
    text.forgetBefore(start - MAX_PATTERN_MATCH);
    return findings;
  };

  return {
    get scannedTo() {
      return start;
    },
    push(delta) {
      text.append(delta);
      time.extend(delta.length);
      const findings: StreamFinding[] = [];
      while (text.length >= start + STEP + MAX_PATTERN_MATCH) {
        findings.push(...scan(start + STEP, start + STEP + MAX_PATTERN_MATCH));
      }
      return findings;
    },
    end() {
      const findings: StreamFinding[] = [];
      while (start < text.length) {
        const end = Math.min(text.length, start + STEP);
        findings.push(...scan(end, Math.min(text.length, end + MAX_PATTERN_MATCH)));
      }
      return findings;
    },
  };
}
