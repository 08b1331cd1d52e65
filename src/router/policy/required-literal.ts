/** Shorter ones are in nearly every text. */
const MIN_LENGTH = 2;

/** What ends a run of plain characters without being one. */
const META = '.[]()|^$*+?{}\\';

/**
 * The longest run of plain ASCII characters that every match of an RE2 pattern must hold, or null where none is
 * sure. A text without it need not be matched at all, and looking for it costs a fraction of matching (RE2's own
 * FilteredRE2 and Go's `regexp` prefixes rest on the same thought).
 *
 * Deliberately simple: groups, classes and escapes that mean something end a run, and a pattern that could mean
 * anything else than it seems to (alternatives outside of groups, flags, quoting) gives null.
 */
export function requiredLiteral(pattern: string): string | null {
  if (pattern.includes('\\Q') || pattern.includes('(?')) return null;
  let best = '';
  let run = '';
  const endRun = () => {
    if (run.length > best.length) best = run;
    run = '';
  };
  for (let at = 0; at < pattern.length; ) {
    const character = pattern.charAt(at);
    if (character === '|') return null;
    if (character === '(' || character === '[') {
      endRun();
      const end = character === '(' ? endOfGroup(pattern, at) : endOfClass(pattern, at);
      if (end === null) return null;
      at = end;
    } else if (character === '\\') {
      const escaped = pattern.charAt(at + 1);
      // A letter or digit after a backslash means something; anything else is itself.
      if (/[\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]/.test(escaped)) run += escaped;
      else if (/[bBdDsSwWAzfnrtv]/.test(escaped)) endRun();
      else return null;
      at += 2;
    } else if (character === '*' || character === '?' || character === '{') {
      // The character before may be missing.
      run = run.slice(0, -1);
      endRun();
      const end = character === '{' ? pattern.indexOf('}', at) : at;
      if (end < 0) return null;
      at = end + 1;
    } else if (META.includes(character)) {
      endRun();
      at += 1;
    } else if (character < ' ' || character > '~') {
      endRun();
      at += 1;
    } else {
      run += character;
      at += 1;
    }
  }
  endRun();
  return best.length >= MIN_LENGTH ? best : null;
}

/** Behind the parenthesis that closes the one at `start`. */
function endOfGroup(pattern: string, start: number): number | null {
  let depth = 0;
  for (let at = start; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === '\\') at += 1;
    else if (character === '[') {
      const end = endOfClass(pattern, at);
      if (end === null) return null;
      at = end - 1;
    } else if (character === '(') depth += 1;
    else if (character === ')' && --depth === 0) return at + 1;
  }
  return null;
}

/** Behind the bracket that closes the class at `start`; a class that holds another (`[[:alpha:]]`) is not read. */
function endOfClass(pattern: string, start: number): number | null {
  let at = start + 1;
  if (pattern.charAt(at) === '^') at += 1;
  if (pattern.charAt(at) === ']') return null;
  for (; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === '\\') at += 1;
    else if (character === '[') return null;
    else if (character === ']') return at + 1;
  }
  return null;
}
