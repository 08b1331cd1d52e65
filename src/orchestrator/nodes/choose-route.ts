import type { TurnState, TurnUpdate } from '#orchestrator/turn-state.ts';

/** The router has checked that the tenant may use the route; `direct` never enters the graph. */
export function chooseRoute({ request }: TurnState): TurnUpdate {
  return request.route === 'rag' ? { route: 'rag' } : { route: 'chat', chunks: null };
}

/** The node that follows. */
export const afterRoute = ({ route }: TurnState): 'retrieve' | 'generate' =>
  route === 'rag' ? 'retrieve' : 'generate';
