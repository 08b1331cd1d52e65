import { InvalidArgumentError } from 'commander';
import { MAX_PAGE_ITEMS } from '#app/schemas/page.ts';

/** An option's value that counts something. */
export function positiveInteger(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.');
  return Number(text);
}

/** How many of the newest to show: what fits in one page of a list. */
export function pageLimit(text: string): number {
  const limit = positiveInteger(text);
  if (limit > MAX_PAGE_ITEMS) throw new InvalidArgumentError(`It must be at most ${MAX_PAGE_ITEMS}.`);
  return limit;
}
