import { CliError, EXIT } from '#cli/cli-error.ts';

/** `["rag.top_k=8", "enabled=false"]` → `{ rag: { top_k: 8 }, enabled: false }`, over a copy of `base`. */
export function parseAssignments(
  assignments: readonly string[],
  base: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const result: Record<string, unknown> = structuredClone(base);
  for (const assignment of assignments) {
    const at = assignment.indexOf('=');
    const path = assignment.slice(0, at).split('.');
    if (at < 1 || path.some((name) => !/^[a-z_]+$/.test(name) || name === '__proto__')) {
      throw new CliError(`${assignment}: settings are written as path=value.`, { exitCode: EXIT.usage });
    }
    assign(result, path, parseValue(assignment.slice(at + 1)));
  }
  return result;
}

function assign(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const inner: Record<string, unknown> = isRecord(target[name]) ? target[name] : {};
  target[name] = inner;
  assign(inner, rest, value);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
