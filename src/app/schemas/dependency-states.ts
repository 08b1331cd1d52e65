import { z } from 'zod';

/** `unknown`: it was not asked yet, or the service that asks it cannot be reached. */
export const dependencyStateSchema = z.enum(['ok', 'failed', 'unknown']);
export type DependencyState = z.infer<typeof dependencyStateSchema>;

/** What a service needs and shares with others, by name. None of it decides whether a replica is ready. */
export const dependencyStatesSchema = z.record(z.string(), dependencyStateSchema);
export type DependencyStates = Readonly<Record<string, DependencyState>>;

/** What a service behind the router answers to `GET /readyz`. */
export const serviceReadinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  checks: dependencyStatesSchema,
});
