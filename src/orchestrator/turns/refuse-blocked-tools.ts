import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TurnRequest } from '#app/schemas/turn.ts';

const namedSchema = z.object({ name: z.string() });
const toolsSchema = z.array(
  z.union([z.object({ function: namedSchema }).transform((tool) => tool.function), namedSchema]),
);

/** The router refuses blocked tools already; a tool that slipped past it is still not offered to an engine. */
export function refuseBlockedTools({ engine_parameters: parameters, policy }: TurnRequest): void {
  for (const field of ['tools', 'functions']) {
    const offered = parameters[field];
    if (!Array.isArray(offered)) continue;
    for (const [place, tool] of offered.entries()) {
      const name = toolsSchema.safeParse([tool]).data?.[0]?.name;
      if (name === undefined || !policy.blocked_tools.includes(name)) continue;
      throw new BulkheadError('tool_blocked', `The tenant’s policy blocks the tool ${name}.`, {
        param: `${field}.${place}`,
        refusal: { policy: 'blocked_tools' },
      });
    }
  }
}
