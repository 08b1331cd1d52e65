/** Bits of entropy a character, by the characters’ own frequencies. */
export function entropyPerCharacter(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

const PLACEHOLDER =
  /example|sample|dummy|placeholder|change.?me|replace|redacted|your.{0,3}(?:password|key|token|secret|api)|insert|todo|x{4,}|\*{3,}|\.{3,}|<[^>]{0,64}>|\$\{|\{\{|^\$|%[sd(]|process\.env|os\.environ|getenv|null|undefined|true|false|none/i;

/** A value that stands for a secret, as documentation has them. */
export const isPlaceholder = (value: string): boolean => PLACEHOLDER.test(value);

const classesOf = (value: string): number =>
  [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((pattern) => pattern.test(value)).length;

/** A token’s random part: digits among letters, little repetition; a hyphenated phrase is none. */
export function looksRandom(value: string): boolean {
  if (isPlaceholder(value) || entropyPerCharacter(value) < 3) return false;
  const digits = value.match(/[0-9]/g)?.length ?? 0;
  const capitals = value.match(/[A-Z]/g)?.length ?? 0;
  return digits >= 2 || (capitals >= 3 && digits >= 1) || (capitals >= 6 && /[a-z]/.test(value));
}

/** A chosen password: at least two classes of character, or long and without a plain word’s shape. */
export function looksChosen(value: string): boolean {
  if (value.length < 6 || isPlaceholder(value)) return false;
  const classes = classesOf(value);
  if (classes >= 3) return entropyPerCharacter(value) >= 2.2;
  // `Password123`-like and `hunter2`-like: letters with digits or signs inside or after.
  return (
    classes === 2 &&
    /[0-9\W_]/.test(value) &&
    !/^[A-Za-z]+[.,;:!?-]?[A-Za-z]*$/.test(value) &&
    /[A-Za-z]/.test(value)
  );
}
