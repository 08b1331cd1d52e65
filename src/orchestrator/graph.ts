import { END, START, StateGraph } from '@langchain/langgraph';
import type { RagService } from '#app/services/rag-service.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import type { Logger } from '#observability/logger.ts';
import type { ConversationStore } from '#orchestrator/conversations/conversation-store.ts';
import { afterRoute, chooseRoute } from '#orchestrator/nodes/choose-route.ts';
import { generate } from '#orchestrator/nodes/generate.ts';
import { guardInput } from '#orchestrator/nodes/guard-input.ts';
import { guardOutput } from '#orchestrator/nodes/guard-output.ts';
import { persist } from '#orchestrator/nodes/persist.ts';
import { retrieve } from '#orchestrator/nodes/retrieve.ts';
import { TurnRuntime, TurnState } from '#orchestrator/turn-state.ts';

export type TurnGraphOptions = Readonly<{
  conversations: ConversationStore;
  rag: RagService;
  engine: InferenceEngine;
  logger: Logger;
  monotonicNow: () => number;
}>;

/**
 * The turn of the routes `chat` and `rag`. Compiled once, run for every turn; there is no checkpointer: it would
 * check no owner, and a turn is short enough to be asked again.
 */
export function compileTurnGraph(options: TurnGraphOptions) {
  return new StateGraph(TurnState, TurnRuntime)
    .addNode('guardInput', guardInput(options))
    .addNode('chooseRoute', chooseRoute)
    .addNode('retrieve', retrieve(options))
    .addNode('generate', generate(options))
    .addNode('guardOutput', guardOutput(options))
    .addNode('persist', persist(options))
    .addEdge(START, 'guardInput')
    .addEdge('guardInput', 'chooseRoute')
    .addConditionalEdges('chooseRoute', afterRoute, ['retrieve', 'generate'])
    .addEdge('retrieve', 'generate')
    .addEdge('generate', 'guardOutput')
    .addEdge('guardOutput', 'persist')
    .addEdge('persist', END)
    .compile({ name: 'turn' });
}

export type TurnGraph = ReturnType<typeof compileTurnGraph>;
