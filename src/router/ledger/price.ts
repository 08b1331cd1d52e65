import type { Settings } from '#app/settings/settings.ts';

export type Price = Readonly<{ perMillionPromptTokensUsd: number; perMillionCompletionTokensUsd: number }>;

export const priceFromSettings = (
  settings: Pick<Settings, 'PRICE_PER_MILLION_PROMPT_TOKENS_USD' | 'PRICE_PER_MILLION_COMPLETION_TOKENS_USD'>,
): Price => ({
  perMillionPromptTokensUsd: settings.PRICE_PER_MILLION_PROMPT_TOKENS_USD,
  perMillionCompletionTokensUsd: settings.PRICE_PER_MILLION_COMPLETION_TOKENS_USD,
});

/** US dollars, to the billionth that the ledger keeps. */
export function costOf(price: Price, tokens: { prompt_tokens: number; completion_tokens: number }): number {
  const dollars =
    (tokens.prompt_tokens * price.perMillionPromptTokensUsd +
      tokens.completion_tokens * price.perMillionCompletionTokensUsd) /
    1_000_000;
  return Math.round(dollars * 1e9) / 1e9;
}
