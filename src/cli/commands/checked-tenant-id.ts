import type { z } from 'zod';
import { tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';

/** The id, or an error before anything is sent: a bad one could change the path. */
export const checkedTenantId = (id: string): string => checked(tenantIdSchema, id, 'tenant');

/** The same for a user, ready to stand in a path. */
export const checkedUserId = (id: string): string => encodeURIComponent(checked(userIdSchema, id, 'user'));

function checked(schema: z.ZodType<string>, id: string, kind: string): string {
  const parsed = schema.safeParse(id);
  if (parsed.success) return parsed.data;
  throw new CliError(`${id} is no ${kind} id: it ${parsed.error.issues[0]?.message ?? 'is not valid'}.`, {
    exitCode: EXIT.usage,
  });
}
