/** One token: a word, a number, a character of a script without spaces, a sign, or a line end. */
const TOKEN =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]|[[\p{L}\p{M}]--[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]]+(?:['’]\p{L}{1,3}(?!\p{L}))?|\p{N}+|\n[\n\s]*|[^\s\p{L}\p{M}\p{N}]/gv;

/** Longer words are cut: they are no words. */
const MAX_WORD = 32;

/** The tokens of a folded text, with where each begins. Numbers become their number of digits. */
export function tokensOf(folded: string): { token: string; start: number; end: number }[] {
  const tokens: { token: string; start: number; end: number }[] = [];
  let previous = '';
  for (const match of folded.matchAll(TOKEN)) {
    let token = match[0];
    const first = token.charCodeAt(0);
    if (first === 10) token = '\n';
    else if (first >= 48 && first <= 57) token = `0${Math.min(token.length, 5)}`;
    else if (token.length > MAX_WORD) token = token.slice(0, MAX_WORD);
    else if (token.includes('’')) token = token.replace('’', "'");
    // A row of the same sign or line end says no more than two of them.
    if (token === previous && token.length === 1 && !/\p{L}/u.test(token)) continue;
    previous = token;
    tokens.push({ token, start: match.index, end: match.index + match[0].length });
  }
  return tokens;
}
