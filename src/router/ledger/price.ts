import type { Settings } from '#app/settings/settings.ts';

/** In billionths of a dollar for a million tokens: whole numbers, so that no sum drifts. */
export type Price = Readonly<{
  /** Of the price table; null: the price of the settings. */
  version: number | null;
  promptNanosPerMillion: number;
  completionNanosPerMillion: number;
}>;

export const NANOS_PER_DOLLAR = 1_000_000_000;

export const toNanos = (dollars: number): number => Math.round(dollars * NANOS_PER_DOLLAR);

export const priceFromSettings = (
  settings: Pick<Settings, 'PRICE_PER_MILLION_PROMPT_TOKENS_USD' | 'PRICE_PER_MILLION_COMPLETION_TOKENS_USD'>,
): Price => ({
  version: null,
  promptNanosPerMillion: toNanos(settings.PRICE_PER_MILLION_PROMPT_TOKENS_USD),
  completionNanosPerMillion: toNanos(settings.PRICE_PER_MILLION_COMPLETION_TOKENS_USD),
});

/** The most that so many tokens can cost, whichever of them are the prompt's and which the answer's. */
export function mostCostOf(price: Price, tokens: number): number {
  const { promptNanosPerMillion, completionNanosPerMillion } = price;
  return promptNanosPerMillion > completionNanosPerMillion
    ? costOf(price, { prompt_tokens: tokens, completion_tokens: 0 })
    : costOf(price, { prompt_tokens: 0, completion_tokens: tokens });
}

/** US dollars, exact to the billionth that the ledger keeps; half a billionth is rounded up. */
export function costOf(price: Price, tokens: { prompt_tokens: number; completion_tokens: number }): number {
  const { promptNanosPerMillion, completionNanosPerMillion } = price;
  if (promptNanosPerMillion === 0 && completionNanosPerMillion === 0) return 0;
  const millionths =
    tokens.prompt_tokens * promptNanosPerMillion + tokens.completion_tokens * completionNanosPerMillion;
  const nanos = Number.isSafeInteger(millionths)
    ? Math.round(millionths / 1_000_000)
    : Number(
        (BigInt(tokens.prompt_tokens) * BigInt(promptNanosPerMillion) +
          BigInt(tokens.completion_tokens) * BigInt(completionNanosPerMillion) +
          500_000n) /
          1_000_000n,
      );
  return nanos / NANOS_PER_DOLLAR;
}
