import { z } from 'zod';
import type { createForwardedTokens } from '#app/http/internal-token.ts';
import { conversationIdSchema } from '#app/ids.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { Logger } from '#observability/logger.ts';

export type ForwardedTokens = ReturnType<typeof createForwardedTokens>;

export type OrchestratorRouteOptions = {
  service: OrchestratorService;
  forwardedTokens: ForwardedTokens;
  logger: Logger;
  /** Silence within a turn after which an empty line is sent, milliseconds. */
  heartbeatMs?: number;
};

export const conversationPathSchema = z.object({ conversation_id: conversationIdSchema });
