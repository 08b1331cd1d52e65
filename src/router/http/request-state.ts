import type { FastifyRequest } from 'fastify';
import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { createRequestSlot } from '#app/http/request-slot.ts';
import type { RequestId } from '#app/ids.ts';
import { NO_TOKENS, type TokenUsage } from '#app/schemas/token-usage.ts';
import type { BegunTrace } from '#app/trace.ts';
import type { Principal, TenantPrincipal } from '#router/identity/principal.ts';
import { costOf, type Price } from '#router/ledger/price.ts';
import { type Explanation, newExplanation } from '#router/request-log/explanation.ts';

/** Writes down, while a turn runs, that it does and how far it has come. */
export type TurnMeter = Readonly<{
  /**
   * Before anything that costs tokens. Throws `budget_exceeded`, or `service_unavailable` where usage cannot be recorded.
   */
  begin(): Promise<void>;
  /** Tokens, cost, route or model have changed. */
  advance(): void;
}>;

/** For requests that have no tenant to bill: they cannot use tokens. */
const NO_METER: TurnMeter = {
  begin: () => Promise.reject(new Error('Only a tenant’s request can begin a turn.')),
  advance: () => {},
};

/** What a request has used so far: the source of its ledger row and its metrics. */
export type RequestUsage = {
  /** The name under which it is counted: `rag`, `vault`, `admin`, … */
  route: string;
  model: string | null;
  /** As engines count them. */
  tokens: TokenUsage;
  /** What a token costs; null: none was used yet. */
  price: Price | null;
  /** What the request may use at most, roughly; 0 where nothing asks for it. */
  estimatedTokens: number;
  /** Tokens that the engine may write of an answer whose length the client does not bound; null: as many as it likes. */
  answerLimit: number | null;
  /** The prompt's tokens, roughly. */
  promptTokens: number;
  /**
   * Of the prompt, what a model was given and has not counted yet. It costs and counts like what is counted: a client that always
   * leaves before the first word would have every prompt read for nothing.
   */
  untoldTokens: number;
  refusalReason: string | null;
  /** What makes it count, also if this process dies. */
  meter: TurnMeter;
  chunkIds: readonly string[];
  citedChunkIds: readonly string[];
  /** For the request log. */
  readonly explained: Explanation;
};

/** Everything that belongs to one request, from its first byte to its ledger row. */
export type RequestState = {
  readonly requestId: RequestId;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  /** Fires when the client leaves before the answer is complete. */
  readonly signal: AbortSignal;
  /** null: tracing is off. */
  readonly begun: BegunTrace | null;
  principal: Principal | null;
  readonly usage: RequestUsage;
  /** What the client is told went wrong, once it is known. */
  failure: BulkheadError | null;
  /** Of a body that was read and that no limit has let pass yet. */
  unadmittedBytes: number;
  /** Tells the limiter how many tokens were really used. */
  settleTokens: (tokens: number) => void;
  /** Gives the request's place among concurrent ones back. */
  release: () => void;
  /** Set by the first settlement: there is one row a request. */
  settlement: Promise<void> | null;
};

const states = createRequestSlot<RequestState>('state');

export const newUsage = (explained: Explanation = newExplanation()): RequestUsage => ({
  route: 'unknown',
  model: null,
  tokens: NO_TOKENS,
  price: null,
  estimatedTokens: 0,
  answerLimit: null,
  promptTokens: 0,
  untoldTokens: 0,
  refusalReason: null,
  meter: NO_METER,
  chunkIds: [],
  citedChunkIds: [],
  explained,
});

/** What it costs so far, US dollars. */
export const costOfUsage = ({
  price,
  tokens,
  untoldTokens,
}: Pick<RequestUsage, 'price' | 'tokens' | 'untoldTokens'>): number =>
  price === null
    ? 0
    : costOf(price, {
        prompt_tokens: tokens.prompt_tokens + untoldTokens,
        completion_tokens: tokens.completion_tokens,
      });

export function attachState(request: FastifyRequest, state: RequestState): void {
  states.set(request, state);
}

/** undefined only for requests that failed before the first hook, such as those with a bad URL. */
export const findState = (request: FastifyRequest): RequestState | undefined => states.get(request);

export function stateOf(request: FastifyRequest): RequestState {
  const state = states.get(request);
  if (state === undefined) throw new Error('The request has no state: the first hook did not run.');
  return state;
}

/** The caller of a route that authenticates. */
export function principalOf(request: FastifyRequest): Principal {
  const { principal } = stateOf(request);
  if (principal === null) throw new Error('This route has no authentication.');
  return principal;
}

/** The caller of a route that is for tenants. */
export function tenantOf(request: FastifyRequest): TenantPrincipal {
  const principal = principalOf(request);
  if (principal.kind !== 'tenant') throw new Error('This route has no tenant authentication.');
  return principal;
}
