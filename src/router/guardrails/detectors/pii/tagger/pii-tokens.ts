/** A word, a number, one sign or a line end, with its place in the text. */
export type PiiToken = Readonly<{ text: string; start: number; end: number }>;

const TOKEN = /\p{L}[\p{L}\p{M}]*(?:['’]\p{L}[\p{L}\p{M}]*)?|\p{N}+|\n|[^\s\p{L}\p{N}]/gu;
const MAX_TOKEN = 40;

/** Case is kept: it is the best sign of a name there is. */
export function piiTokensOf(text: string): PiiToken[] {
  const tokens: PiiToken[] = [];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    // A possessive is not part of the name.
    const bare = token.replace(/['’]s$/i, '').slice(0, MAX_TOKEN);
    tokens.push({ text: bare, start: index, end: index + bare.length });
  }
  return tokens;
}

/** The form of a token: `Xx`, `X`, `x`, `xX`, digits by their number, or the sign itself. */
export function shapeOf(token: string): string {
  if (/^\p{N}/u.test(token)) return `0${Math.min(token.length, 6)}`;
  if (!/^\p{L}/u.test(token)) return token;
  const first = token[0] ?? '';
  const upper = first !== first.toLowerCase();
  if (token.length === 1) return upper ? 'X1' : 'x1';
  const rest = token.slice(1);
  if (upper && rest === rest.toUpperCase() && rest !== rest.toLowerCase()) return 'XX';
  if (upper) return rest === rest.toLowerCase() ? 'Xx' : 'XxX';
  return rest === rest.toLowerCase() ? 'xx' : 'xX';
}
