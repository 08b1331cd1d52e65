import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { isCrowded, MAX_JSON_VALUES } from '#app/http/crowded-json.ts';

/** Throws `invalid_request` for JSON of too many values. */
export function refuseCrowdedBody(body: Uint8Array): void {
  if (!isCrowded(body)) return;
  throw new BulkheadError(
    'invalid_request',
    `The body holds more than ${MAX_JSON_VALUES} objects, lists, names and texts.`,
  );
}
