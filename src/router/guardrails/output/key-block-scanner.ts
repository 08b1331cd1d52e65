import {
  KEY_BLOCK_START,
  keyBlockEnd,
  MAX_KEY_LINE,
} from '#router/guardrails/detectors/secrets/key-block.ts';
import {
  SlidingText,
  type StreamFinding,
  type StreamScanner,
} from '#router/guardrails/output/stream-scanner.ts';

const BEGIN = '-----BEGIN ';

/**
 * Private keys are longer than any window: from their first line on all is redacted as it comes, until the last line. What
 * may be the beginning of a first line is held.
 */
export function createKeyBlockScanner(action: StreamFinding['action']): StreamScanner {
  const text = new SlidingText();
  let start = 0;
  /** Where the body of the key that is open begins; null between keys. */
  let body: number | null = null;

  const finding = (from: number, to: number): StreamFinding[] =>
    to > from ? [{ detector: 'secrets', kind: 'private_key', action, start: from, end: to }] : [];

  /** True where it got on. */
  function seekKey(findings: StreamFinding[], atEnd: boolean): boolean {
    const rest = text.slice(start, text.length);
    const at = rest.indexOf(BEGIN);
    if (at < 0) {
      start = text.length - (atEnd ? 0 : possibleBeginning(rest));
      return false;
    }
    const line = rest.slice(at, at + MAX_KEY_LINE);
    const [header] = line.match(KEY_BLOCK_START) ?? [];
    if (header !== undefined && line.startsWith(header)) {
      const from = start + at;
      body = from + header.length;
      start = body;
      findings.push(...finding(from, body));
      return true;
    }
    // Not a key's, or not all here yet.
    const isWhole = atEnd || line.length === MAX_KEY_LINE || line.includes('\n') || /[^A-Z0-9 -]/.test(line);
    start += isWhole ? at + BEGIN.length : at;
    return isWhole;
  }

  function followKey(from: number, findings: StreamFinding[]): boolean {
    const rest = Math.max(from, start - MAX_KEY_LINE);
    const end = rest + keyBlockEnd(text.slice(rest, text.length), 0);
    const isOver =
      end < text.length ||
      /-----END[A-Z0-9 ]*-----$/.test(text.slice(Math.max(from, end - MAX_KEY_LINE), end));
    findings.push(...finding(start, Math.max(start, end)));
    start = Math.max(start, end);
    if (isOver) body = null;
    return isOver;
  }

  function scan(atEnd: boolean): StreamFinding[] {
    const findings: StreamFinding[] = [];
    for (let goesOn = true; goesOn; ) {
      goesOn = body === null ? seekKey(findings, atEnd) : followKey(body, findings);
      if (start >= text.length && body === null) goesOn = false;
    }
    text.forgetBefore(start - MAX_KEY_LINE);
    return findings;
  }

  return {
    get scannedTo() {
      return start;
    },
    push(delta) {
      text.append(delta);
      return scan(false);
    },
    end: () => scan(true),
  };
}

/** How many characters at the end of a text may begin a key's first line. */
function possibleBeginning(text: string): number {
  for (let length = Math.min(BEGIN.length - 1, text.length); length > 0; length--) {
    if (BEGIN.startsWith(text.slice(-length))) return length;
  }
  return 0;
}
