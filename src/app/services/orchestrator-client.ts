import { createDeadline } from '#app/deadline.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { DOMAIN_ORIGIN, readInnerError } from '#app/errors/inner-error.ts';
import { FORWARDED_RAG_TOKEN_HEADER } from '#app/http/internal-token.ts';
import {
  createServiceConnection,
  type ServiceConnection,
  type ServiceConnectionOptions,
} from '#app/http/service-connection.ts';
import { conversationSchema, conversationWithMessagesSchema } from '#app/schemas/conversation.ts';
import { serviceReadinessSchema } from '#app/schemas/dependency-states.ts';
import { pageOf } from '#app/schemas/page.ts';
import type { TurnBatch, TurnEvent } from '#app/schemas/turn.ts';
import {
  engineModelsSchema,
  MAX_TURN_LINE_CHARACTERS,
  ORCHESTRATOR_PATHS,
  turnLineSchema,
} from '#app/services/orchestrator-http.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';

const SERVICE = 'orchestrator';
/** An engine may think this long before its first token, milliseconds. */
const TURN_IDLE_MS = 300_000;
const DEFAULT_TURNS = 4_096;

export type OrchestratorClientOptions = Omit<ServiceConnectionOptions, 'service' | 'audience'>;

/** The orchestrator over HTTP. It behaves as the one in process does: the same events, errors and aborts. */
export function createOrchestratorClient(
  options: OrchestratorClientOptions,
): OrchestratorService & Pick<ServiceConnection, 'stats' | 'close'> {
  const connection = createServiceConnection({
    idleTimeoutMs: TURN_IDLE_MS,
    longCalls: DEFAULT_TURNS,
    ...options,
    service: SERVICE,
    audience: 'orchestrator',
  });
  const conversationPath = (id: string) => `${ORCHESTRATOR_PATHS.conversations}/${encodeURIComponent(id)}`;

  return {
    async *runTurn(context, request, signal) {
      signal.throwIfAborted();
      // Leaving the loop early ends the call as an abort does.
      const call = createDeadline(signal);
      try {
        const { body } = await connection.send(
          context,
          {
            method: 'POST',
            path: ORCHESTRATOR_PATHS.turn,
            headers: async () => ({
              'content-type': 'application/json',
              [FORWARDED_RAG_TOKEN_HEADER]: await options.tokens.tokenFor(context, 'rag-service'),
            }),
            body: JSON.stringify(request),
            lane: 'long',
          },
          call.signal,
        );
        yield* eventsOf(linesOf(body));
      } catch (error) {
        throw connection.translate(error, signal);
      } finally {
        call.end();
      }
    },

    async listEngineModels(context, signal) {
      const what = { method: 'GET', path: ORCHESTRATOR_PATHS.models } as const;
      return (await connection.call(context, what, engineModelsSchema, signal)).data;
    },

    listConversations(context, page, signal) {
      const query = new URLSearchParams({ limit: String(page.limit) });
      if (page.after !== undefined) query.set('after', page.after);
      const path = `${ORCHESTRATOR_PATHS.conversations}?${query}`;
      return connection.call(context, { method: 'GET', path }, pageOf(conversationSchema), signal);
    },

    getConversation: (context, id, signal) =>
      connection.call(
        context,
        { method: 'GET', path: conversationPath(id) },
        conversationWithMessagesSchema,
        signal,
      ),

    deleteConversation: (context, id, signal) =>
      connection.callWithoutAnswer(context, { method: 'DELETE', path: conversationPath(id) }, signal),

    async checkReady(signal) {
      const what = { method: 'GET', path: '/readyz' } as const;
      return (await connection.call(null, what, serviceReadinessSchema, signal)).checks;
    },

    get stats() {
      return connection.stats;
    },
    close: () => connection.close(),
  };
}

/** The events of a turn, as many at once as came at once. One that ends without `finished` broke off: an error too. */
async function* eventsOf(batches: AsyncIterable<readonly string[]>): AsyncGenerator<TurnBatch> {
  for await (const lines of batches) {
    const events: TurnEvent[] = [];
    let failure: { error: unknown } | null = null;
    for (const line of lines) {
      const event = turnLineSchema.safeParse(parseLine(line));
      if (event.success && event.data.type !== 'error') {
        events.push(event.data);
        if (event.data.type === 'finished') break;
        continue;
      }
      failure = { error: event.success ? failureOf(event.data) : notUnderstood(event.error) };
      break;
    }
    // What came before a failure is told before it.
    if (events.length > 0) yield events;
    if (failure !== null) throw failure.error;
    if (events.at(-1)?.type === 'finished') return;
  }
  throw new BulkheadError(
    'service_unavailable',
    `The ${SERVICE} closed the connection before the response was complete.`,
  );
}

/** Lines of UTF-8, whatever pieces they come in. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  /** Of a line that is not whole yet: joined once, not with each packet. */
  let rest: string[] = [];
  let restLength = 0;
  for await (const chunk of body) {
    const [first = '', ...others] = decoder.decode(chunk, { stream: true }).split('\n');
    rest.push(first);
    restLength += first.length;
    if (restLength > MAX_TURN_LINE_CHARACTERS) throw notUnderstood();
    const last = others.pop();
    if (last === undefined) continue;
    const lines = [rest.join(''), ...others];
    rest = [last];
    restLength = last.length;
    yield lines.filter((line) => line !== '');
  }
  if (restLength > 0) yield [rest.join('')];
}

/** A turn that has begun fails within the domain: its call was accepted. */
function failureOf(line: unknown): BulkheadError {
  const inner = readInnerError(line, DOMAIN_ORIGIN);
  return inner.kind === 'error' ? inner.error : notUnderstood();
}

/** undefined for what is no JSON, which is no event. */
function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const notUnderstood = (cause?: unknown) =>
  new BulkheadError('service_unavailable', `The ${SERVICE} returned an invalid response.`, {
    cause,
  });
