import { type CompiledPolicy, toolKey } from '#router/policy/compile-policy.ts';
import type { Refusal } from '#router/policy/refusal.ts';

/** A tool that the client defines, chooses or says was called, and the field that names it. */
export type NamedTool = Readonly<{ name: string; param: string }>;

/** May the request offer or use these tools? */
export function decideTools(policy: CompiledPolicy, tools: readonly NamedTool[]): Refusal | null {
  if (policy.blockedTools.size === 0) return null;
  const blocked = tools.find(({ name }) => policy.blockedTools.has(toolKey(name)));
  if (blocked === undefined) return null;
  return {
    code: 'tool_blocked',
    policy: 'blocked_tools',
    message: 'The tenant’s policy blocks this tool.',
    param: blocked.param,
  };
}
