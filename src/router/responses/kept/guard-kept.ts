import type { TenantId } from '#app/ids.ts';
import { inSlices } from '#app/in-slices.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';
import { parseJson } from '#router/guardrails/inspect-values.ts';
import { isMadeMedia } from '#router/policy/media-url.ts';

/** Guarding this long, other requests get their turn. */
const SLICE_MS = 5;

/** Fields of items whose values are ours, or are compared and not read. */
const MARKS: ReadonlySet<string> = new Set([
  'id',
  'type',
  'status',
  'role',
  'call_id',
  'file_id',
  'document_id',
  'chunk_id',
]);

export type KeptGuard = Readonly<{
  redact: (text: string) => Generator<void, string>;
  tenantId: TenantId;
  signal: AbortSignal;
}>;

/**
 * Items as they may be shown: the policy may have changed since they were sent. Every text in them is looked at, wherever it
 * is. Throws the signal's reason where nobody waits any more.
 */
export const guardItems = <Items>(items: Items, guard: KeptGuard): Promise<Items> =>
  guardValue(items, guard, MARKS);

/** The same of fields that the client chose: no name in them says what a value is, and names are texts too. */
export const guardFields = <Fields>(fields: Fields, guard: KeptGuard): Promise<Fields> =>
  guardValue(fields, guard, null);

async function guardValue<Value>(
  value: Value,
  { redact, tenantId, signal }: KeptGuard,
  marks: ReadonlySet<string> | null,
): Promise<Value> {
  let sliceStart = performance.now();

  async function textOf(text: string): Promise<string> {
    const redacted = await inSlices(redact(text), { tenantId, signal });
    if (performance.now() - sliceStart > SLICE_MS) {
      await turnOfTenant(tenantId);
      signal.throwIfAborted();
      sliceStart = performance.now();
    }
    return redacted;
  }

  async function stringOf(text: string): Promise<string> {
    const redacted = await textOf(text);
    // Arguments of a function are JSON in a string: their escapes hide text.
    const inner = parseJson(redacted);
    if (inner === undefined) return redacted;
    const guarded = JSON.stringify(await guardValue(inner, { redact, tenantId, signal }, null));
    return guarded === JSON.stringify(inner) ? redacted : guarded;
  }

  async function guarded(inner: unknown, name: string): Promise<unknown> {
    if (typeof inner === 'string') {
      if (marks?.has(name) === true || (name === 'image_url' && isMadeMedia(inner))) return inner;
      return stringOf(inner);
    }
    if (Array.isArray(inner)) {
      const items: unknown[] = [];
      for (const item of inner) items.push(await guarded(item, ''));
      return items;
    }
    if (typeof inner !== 'object' || inner === null) return inner;
    const entries: [string, unknown][] = [];
    for (const [key, item] of Object.entries(inner)) {
      entries.push([marks === null ? await textOf(key) : key, await guarded(item, key)]);
    }
    return Object.fromEntries(entries);
  }

  // Texts become texts, and nothing else changes.
  return (await guarded(value, '')) as Value;
}
