import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { ENGINE_PARAMETERS, MAX_CHOICES } from '#app/schemas/engine-parameters.ts';

const PASSED: ReadonlySet<string> = new Set(ENGINE_PARAMETERS);

/** Kinds of tools that the client runs itself. The others a server runs: it would search, execute or call an address for the client. */
const CLIENT_TOOLS: ReadonlySet<unknown> = new Set(['function', 'custom', undefined, null]);

/**
 * The allowed ones of a client's parameters, checked here too: what an engine is given is decided where it is called.
 * Throws `invalid_request` where `n` is out of bounds, and for tools that a server would run.
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
  refuseServerTools(parameters.tools);
  return Object.fromEntries(
    Object.entries(parameters).filter(
      ([name, value]) => PASSED.has(name) && value !== undefined && value !== null,
    ),
  );
}

function refuseServerTools(tools: unknown): void {
  if (!Array.isArray(tools)) return;
  for (const [place, tool] of tools.entries()) {
    const type: unknown = typeof tool === 'object' && tool !== null ? Reflect.get(tool, 'type') : undefined;
    if (CLIENT_TOOLS.has(type)) continue;
    const param = `tools.${place}.type`;
    throw new BulkheadError('invalid_request', `${param}: only functions are supported`, { param });
  }
}
