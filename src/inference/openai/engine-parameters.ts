import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { ENGINE_PARAMETERS, MAX_CHOICES } from '#app/schemas/engine-parameters.ts';

const PASSED: ReadonlySet<string> = new Set(ENGINE_PARAMETERS);

/**
 * The allowed ones of a client's parameters, checked here too: what an engine is given is decided where it is called.
 * Throws `invalid_request` where `n` is out of bounds.
 */
export function allowedParameters(
  parameters: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { n } = parameters;
  if (n !== undefined && n !== null && !(Number.isInteger(n) && Number(n) >= 1 && Number(n) <= MAX_CHOICES)) {
    throw new BulkheadError('invalid_request', `n: must be a whole number from 1 to ${MAX_CHOICES}`, {
      param: 'n',
    });
  }
  return Object.fromEntries(
    Object.entries(parameters).filter(
      ([name, value]) => PASSED.has(name) && value !== undefined && value !== null,
    ),
  );
}
