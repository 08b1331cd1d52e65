import type { Database } from '#app/database/database.ts';
import { createDeadline } from '#app/deadline.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { toBulkheadError } from '#app/http/to-bulkhead-error.ts';
import type { TurnBatch, TurnRequest } from '#app/schemas/turn.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { Scope, TenantContext } from '#app/tenant-context.ts';
import { untilAborted } from '#app/until-aborted.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import { openLazily } from '#inference/open-lazily.ts';
import type { Logger } from '#observability/logger.ts';
import { createConversationStore } from '#orchestrator/conversations/conversation-store.ts';
import { compileTurnGraph } from '#orchestrator/graph.ts';
import { runDirectTurn } from '#orchestrator/turns/run-direct-turn.ts';
import { runGraphTurn } from '#orchestrator/turns/run-graph-turn.ts';

export type OrchestratorOptions = Readonly<{
  database: Database;
  rag: RagService;
  engine: InferenceEngine;
  logger: Logger;
  /** Milliseconds, for durations. */
  monotonicNow?: () => number;
}>;

const answers = () => 'ok' as const;
const fails = () => 'failed' as const;

/** The orchestrator in process. It checks the caller's scopes again: the router is not its only possible caller. */
export function createOrchestrator(options: OrchestratorOptions): OrchestratorService {
  const { database, rag, engine, logger, monotonicNow = () => performance.now() } = options;
  const conversations = createConversationStore({ database });
  const graph = compileTurnGraph({ conversations, rag, engine, logger, monotonicNow });

  async function* runOnGraph(
    tenant: TenantContext,
    request: TurnRequest,
    callerSignal: AbortSignal,
  ): AsyncGenerator<TurnBatch, void, undefined> {
    // The turn's own signal: it ends with the turn, so what listens to it does too, and leaving the loop fires it.
    const turn = createDeadline(callerSignal);
    const { signal } = turn;
    try {
      yield* runGraphTurn({ graph, tenant, request, signal });
    } catch (error) {
      throw callerSignal.aborted ? callerSignal.reason : toBulkheadError(error);
    } finally {
      turn.end();
    }
  }

  function runTurn(
    tenant: TenantContext,
    request: TurnRequest,
    signal: AbortSignal,
  ): AsyncIterableIterator<TurnBatch> {
    return openLazily(async () => {
      needScope(tenant, 'chat');
      signal.throwIfAborted();
      return request.route === 'direct'
        ? runDirectTurn({ engine, tenant, request, signal, monotonicNow })
        : runOnGraph(tenant, request, signal);
    });
  }

  return {
    runTurn,
    listEngineModels: (tenant, signal) => {
      needScope(tenant, 'chat');
      return engine.listModels(signal);
    },
    async listConversations(tenant, page, signal) {
      needScope(tenant, 'conversations');
      return untilAborted(conversations.list(tenant, page), signal);
    },
    async getConversation(tenant, conversationId, signal) {
      needScope(tenant, 'conversations');
      return untilAborted(conversations.get(tenant, conversationId), signal);
    },
    async deleteConversation(tenant, conversationId, signal) {
      needScope(tenant, 'conversations');
      signal.throwIfAborted();
      await untilAborted(conversations.delete(tenant, conversationId), signal);
    },
    async checkReady(signal) {
      return { engine: await engine.checkReady(signal).then(answers, fails) };
    },
  };
}

function needScope({ scopes }: TenantContext, scope: Scope): void {
  if (scopes.includes(scope)) return;
  throw new BulkheadError('missing_scope', `The credential lacks the scope ${scope}.`);
}
