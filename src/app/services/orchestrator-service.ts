import type { ConversationId } from '#app/ids.ts';
import type { Conversation, ConversationWithMessages } from '#app/schemas/conversation.ts';
import type { DependencyStates } from '#app/schemas/dependency-states.ts';
import type { Page, PageRequest } from '#app/schemas/page.ts';
import type { TurnBatch, TurnRequest } from '#app/schemas/turn.ts';
import type { TenantContext } from '#app/tenant-context.ts';

/** A model that the engine serves, as `GET /v1/models` lists it. */
export type EngineModel = Readonly<{ id: string; owned_by: string; created: number }>;

/** The orchestrator as its callers see it: in process, or over HTTP. */
export interface OrchestratorService {
  /** Aborting the signal, or leaving the loop, aborts retrieval and the engine call. Errors are BulkheadErrors. */
  runTurn(context: TenantContext, request: TurnRequest, signal: AbortSignal): AsyncIterable<TurnBatch>;
  listEngineModels(context: TenantContext, signal: AbortSignal): Promise<readonly EngineModel[]>;
  listConversations(
    context: TenantContext,
    page: PageRequest,
    signal: AbortSignal,
  ): Promise<Page<Conversation>>;
  getConversation(
    context: TenantContext,
    conversationId: ConversationId,
    signal: AbortSignal,
  ): Promise<ConversationWithMessages>;
  deleteConversation(
    context: TenantContext,
    conversationId: ConversationId,
    signal: AbortSignal,
  ): Promise<void>;
  /** What it needs in turn, as it sees it. Throws when the service itself cannot answer. */
  checkReady(signal: AbortSignal): Promise<DependencyStates>;
}
