import type { z } from 'zod';
import type { Page } from '#app/schemas/page.ts';
import type { ApiClient } from '#cli/api-client.ts';

/** Every object of a list, page by page. */
export async function readAllPages<Item>(
  api: ApiClient,
  path: string,
  schema: z.ZodType<Page<Item>>,
  idOf: (item: Item) => string,
  signal?: AbortSignal,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let after: string | undefined; ; ) {
    const joint = path.includes('?') ? '&' : '?';
    const query = `${joint}limit=100${after === undefined ? '' : `&after=${encodeURIComponent(after)}`}`;
    const page: Page<Item> = await api.request(`${path}${query}`, schema, {
      waitOutLimits: 3,
      ...(signal === undefined ? {} : { signal }),
    });
    items.push(...page.data);
    const last = page.data.at(-1);
    if (!page.has_more || last === undefined) return items;
    after = idOf(last);
  }
}
