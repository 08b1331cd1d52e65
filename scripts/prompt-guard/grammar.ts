/** Rules by name: `<name>` in a text stands for one of that rule's lines, `{a|b|}` for one of its alternatives. */
export type Grammar = Readonly<Record<string, readonly string[]>>;

/** Numbers in [0, 1) that are the same on every run (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const pickOf = <T>(items: readonly T[], random: () => number): T => {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('Nothing to pick from.');
  return item;
};

/** One text of the grammar. */
export function expand(template: string, grammar: Grammar, random: () => number): string {
  let text = template;
  for (let round = 0; round < 20 && /[<{]/.test(text); round++) {
    text = text.replace(/<([a-z_]+)>/g, (whole, name: string) => {
      const lines = grammar[name];
      return lines === undefined ? whole.replace('<', '\u0001') : pickOf(lines, random);
    });
    // Innermost braces only; braces with no bar in them are text.
    text = text.replace(/\{([^{}]*\|[^{}]*)\}/g, (_, body: string) => pickOf(body.split('|'), random));
  }
  return text
    .replaceAll('\u0001', '<')
    .replace(/ {2,}/g, ' ')
    .replace(/ ([,.?!;:])/g, '$1')
    .trim();
}
