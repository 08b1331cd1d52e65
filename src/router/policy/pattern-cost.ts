/**
 * Microseconds that RE2 takes to compile parts of a pattern, as measured; machines differ, and the proportions hardly do.
 * A class of Unicode is a list of hundreds of ranges. Of a range without case, every character is looked up.
 */
const INSTRUCTION_US = 9;
const CATEGORY_US = 110;
const SCRIPT_US = 20;
const PERL_CLASS_US = 11;
const FOLDED_CHARACTER_US = 0.04;
/** What has other cases lies in between. */
const FIRST_FOLDED = 0x41;
const LAST_FOLDED = 0x1e943;

/** What a pattern may take, microseconds: others wait meanwhile. */
export const MAX_PATTERN_COST = 6_000;

/**
 * An upper bound, roughly, of what compiling an RE2 pattern takes, without compiling it: `[B-\x{1e942}]` written fifty times, which
 * is no long pattern, takes 300 ms. What RE2 would not take has any cost.
 */
export function patternCost(pattern: string, caseSensitive: boolean): number {
  const characters = [...pattern];
  const isFolded = !caseSensitive || pattern.includes('(?');
  /** Of classes, which are read once. */
  let reading = 0;
  /** Instructions of each group that is open, and of the last thing in it, which a repetition repeats. */
  const groups: { size: number; last: number }[] = [{ size: 0, last: 0 }];
  const take = (size: number) => {
    const group = groups.at(-1);
    if (group === undefined) return;
    group.size += size;
    group.last = size;
  };
  for (let at = 0; at < characters.length; ) {
    const character = characters[at];
    if (character === '(') {
      groups.push({ size: 1, last: 0 });
      at += 1;
    } else if (character === ')') {
      const closed = groups.length > 1 ? groups.pop() : undefined;
      take(closed?.size ?? 0);
      at += 1;
    } else if (character === '{') {
      const { end, times } = repetitionAt(characters, at);
      const group = groups.at(-1);
      if (group !== undefined) {
        group.size += group.last * (times - 1);
        group.last *= times;
      }
      at = end;
    } else if (character === '\\' && characters[at + 1] === 'Q') {
      const quoted = endOfQuote(characters, at);
      take(quoted - at);
      at = quoted;
    } else if (character === '[') {
      const { end, cost } = classAt(characters, at, isFolded);
      reading += cost;
      take(1);
      at = end;
    } else {
      const { end, cost } = atomAt(characters, at);
      reading += cost;
      take(1);
      at = end;
    }
  }
  return reading + INSTRUCTION_US * groups.reduce((sum, { size }) => sum + size, 0);
}

/** Behind `\E`; without one, all of the rest is quoted. */
function endOfQuote(characters: readonly string[], start: number): number {
  for (let at = start + 2; at < characters.length; at++)
    if (characters[at] === '\\' && characters[at + 1] === 'E') return at + 2;
  return characters.length;
}

/** `{3}`, `{3,}`, `{3,5}`; anything else repeats nothing. */
function repetitionAt(characters: readonly string[], start: number): { end: number; times: number } {
  const found = /^\{(\d{1,6})(?:,(\d{0,6}))?\}/.exec(characters.slice(start, start + 16).join(''));
  if (found === null) return { end: start + 1, times: 1 };
  const times = Math.max(1, Number(found[1]), Number(found[2] ?? 0));
  return { end: start + found[0].length, times };
}

type Atom = Readonly<{ end: number; code: number | null; cost: number }>;

/** One character, or what a backslash makes of those behind it; of a class there is no code. */
function atomAt(characters: readonly string[], start: number): Atom {
  const first = characters[start] ?? '';
  if (first !== '\\') return { end: start + 1, code: first.codePointAt(0) ?? null, cost: 0 };
  const escaped = characters[start + 1] ?? '';
  if (/[pP]/.test(escaped)) {
    if (characters[start + 2] !== '{') return { end: start + 3, code: null, cost: CATEGORY_US };
    const close = characters.indexOf('}', start);
    const end = close < 0 ? characters.length : close + 1;
    const name = characters.slice(start + 3, end - 1).join('');
    return { end, code: null, cost: /^\^?[A-Z][a-z&]?$/.test(name) ? CATEGORY_US : SCRIPT_US };
  }
  if (/[dDsSwW]/.test(escaped)) return { end: start + 2, code: null, cost: PERL_CLASS_US };
  if (escaped === 'x') {
    const rest = characters.slice(start + 2, start + 12).join('');
    const digits = /^(?:\{([0-9a-f]{1,8})\}|([0-9a-f]{2}))/i.exec(rest);
    if (digits !== null) {
      const code = Number.parseInt(digits[1] ?? digits[2] ?? '', 16);
      return { end: start + 2 + digits[0].length, code, cost: 0 };
    }
  }
  return { end: start + 2, code: escaped.codePointAt(0) ?? null, cost: 0 };
}

/** What reading a class in brackets takes, with its ranges. */
function classAt(
  characters: readonly string[],
  start: number,
  isFolded: boolean,
): { end: number; cost: number } {
  let cost = 0;
  let at = start + (characters[start + 1] === '^' ? 2 : 1);
  for (let isFirst = true; at < characters.length; isFirst = false) {
    if (characters[at] === ']' && !isFirst) return { end: at + 1, cost };
    if (characters[at] === '[' && characters[at + 1] === ':') {
      cost += PERL_CLASS_US;
      const close = characters.indexOf(']', at);
      at = close < 0 ? characters.length : close + 1;
      continue;
    }
    const low = atomAt(characters, at);
    at = low.end;
    cost += low.cost;
    if (low.code === null || characters[at] !== '-' || characters[at + 1] === ']') continue;
    const high = atomAt(characters, at + 1);
    at = high.end;
    cost += high.cost;
    if (isFolded) cost += foldedBetween(low.code, high.code ?? LAST_FOLDED) * FOLDED_CHARACTER_US;
  }
  return { end: characters.length, cost };
}

const foldedBetween = (low: number, high: number): number =>
  Math.max(0, Math.min(high, LAST_FOLDED) - Math.max(low, FIRST_FOLDED));
