import { z } from 'zod';
import { openAIErrorSchema } from '#app/errors/error-body.ts';
import { turnEventSchema } from '#app/schemas/turn.ts';

/** The internal HTTP API of the orchestrator: what its app serves and its client calls. */
export const ORCHESTRATOR_PATHS = {
  turn: '/internal/v1/turn',
  models: '/internal/v1/models',
  conversations: '/internal/v1/conversations',
} as const;

/** A turn is answered as JSON lines (one event a line); the last is `finished`, or this when it failed midway. */
export const turnFailureSchema = openAIErrorSchema.extend({ type: z.literal('error') });

export const turnLineSchema = z.union([turnEventSchema, turnFailureSchema]);
export type TurnLine = z.infer<typeof turnLineSchema>;

export const TURN_MEDIA_TYPE = 'application/x-ndjson';
/** A line is an event; the longest holds an answer's citations. */
export const MAX_TURN_LINE_CHARACTERS = 8_388_608;

export const engineModelsSchema = z.object({
  data: z.array(z.object({ id: z.string(), owned_by: z.string(), created: z.number() })),
});
