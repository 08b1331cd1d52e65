import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type JsonExcess, JsonMeter, MAX_JSON_NAMES, MAX_JSON_VALUES } from '#app/http/json-meter.ts';

const TOO_MUCH: Readonly<Record<JsonExcess, string>> = {
  values: `${MAX_JSON_VALUES} objects, lists, names and texts`,
  names: `${MAX_JSON_NAMES} different names of fields`,
};

/** Throws `invalid_request` for JSON of too many values, or too many names. */
export function refuseCrowdedBody(body: Uint8Array): void {
  const excess = new JsonMeter().take(body);
  if (excess === null) return;
  throw new BulkheadError('invalid_request', `The body holds more than ${TOO_MUCH[excess]}.`);
}
