import { z } from 'zod';
import { type BulkheadError, isAbort } from '#app/errors/bulkhead-error.ts';
import { inSlices } from '#app/in-slices.ts';
import { type ChatMessage, chatMessageSchema } from '#app/schemas/chat-message.ts';
import type { TurnRequest } from '#app/schemas/turn.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';
import { createCleanTexts } from '#router/guardrails/clean-texts.ts';
import type { TextSource } from '#router/guardrails/compile-guardrails.ts';
import { guardrailFailure, guardrailRefusal } from '#router/guardrails/explain-refusal.ts';
import {
  GuardrailRefusal,
  type Inspect,
  inspectWith,
  type LocatedReasons,
  ValueInspector,
} from '#router/guardrails/inspect-values.ts';
import type { GuardrailModels } from '#router/guardrails/load-models.ts';
import { redactPatternsOf } from '#router/guardrails/redact-patterns.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import type { RequestText } from '#router/policy/decide-content.ts';

/** Whose text is looked at, and for which request. */
export type GuardedRequest = Readonly<{
  policy: CompiledPolicy;
  context: TenantContext;
  requestId: string;
  signal: AbortSignal;
  /** A field of the turn as the caller knows it. */
  paramOf?: (param: string) => string;
}>;

/** What is looked at before it leaves the router. All methods throw `guardrail_refused`, also where a guardrail fails. */
export interface InputGuardrails {
  /** The turn with everything redacted that the tenant wants redacted. */
  guardTurn(request: GuardedRequest, turn: TurnRequest): Promise<TurnRequest>;
  /** Fields of the request that no model reads, as {@link guardTexts} has texts. Each is named by its own name. */
  guardFields(
    request: GuardedRequest,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<Record<string, unknown>>;
  /** Texts that no model takes orders from: secrets and personal data alone. */
  guardTexts(request: GuardedRequest, texts: readonly RequestText[]): Promise<string[]>;
}

const MAX_LOGGED = 50;

export function createInputGuardrails({
  models,
  logger,
  inspectorOf = inspectWith,
}: {
  models: GuardrailModels;
  logger: Logger;
  /** For tests: how a text is looked at. */
  inspectorOf?: typeof inspectWith;
}): InputGuardrails {
  const remembering = createCleanTexts();
  const inspects = new WeakMap<CompiledPolicy, Inspect>();
  const inspectOf = (policy: CompiledPolicy): Inspect => {
    let inspect = inspects.get(policy);
    if (inspect === undefined) {
      const patterns = redactPatternsOf(policy.patterns);
      inspect = remembering(policy, inspectorOf({ rules: policy.guardrails, patterns, models }));
      inspects.set(policy, inspect);
    }
    return inspect;
  };

  async function guard<Result>(
    request: GuardedRequest,
    work: (inspector: ValueInspector) => Generator<void, Result>,
  ): Promise<Result> {
    const { policy, context, requestId, signal, paramOf = (param: string) => param } = request;
    const inspector = new ValueInspector(inspectOf(policy));
    try {
      return await inSlices(work(inspector), { tenantId: context.tenantId, signal });
    } catch (error) {
      if (isAbort(error) || signal.aborted) throw error;
      throw asRefusal(error);
    } finally {
      report(inspector.found.map(({ param, reasons }) => ({ param: paramOf(param), reasons })));
    }

    function asRefusal(error: unknown): BulkheadError {
      if (error instanceof GuardrailRefusal) return guardrailRefusal(error.reason, paramOf(error.param));
      logger.error(
        { event: 'guardrail_failed', err: error, request_id: requestId, tenant_id: context.tenantId },
        'a guardrail failed, so the request is refused',
      );
      return guardrailFailure();
    }

    function report(found: readonly LocatedReasons[]): void {
      if (found.length === 0) return;
      logger.info(
        {
          event: 'guardrails',
          request_id: requestId,
          tenant_id: context.tenantId,
          findings: summaryOf(found),
        },
        'guardrails found something in a request',
      );
    }
  }

  return {
    guardTurn: (request, turn) =>
      guard(request, function* (inspector) {
        const messages: ChatMessage[] = [];
        for (const [index, message] of turn.messages.entries()) {
          const guarded = yield* inspector.value(message, `messages.${index}`, SOURCE_OF_ROLE[message.role]);
          messages.push(guarded === message ? message : chatMessageSchema.parse(guarded));
        }
        const parameters: Record<string, unknown> = {};
        for (const [name, value] of Object.entries(turn.engine_parameters)) {
          parameters[name] = yield* inspector.value(value, name, 'system');
        }
        return { ...turn, messages, engine_parameters: parameters };
      }),
    guardFields: (request, fields) =>
      guard(request, function* (inspector) {
        const guarded: Record<string, unknown> = {};
        for (const [name, value] of Object.entries(fields)) {
          guarded[name] = yield* inspector.value(value, name, 'system');
        }
        return guarded;
      }),
    guardTexts: (request, texts) =>
      guard(request, function* (inspector) {
        const guarded: string[] = [];
        for (const { param, text } of texts) {
          guarded.push(z.string().parse(yield* inspector.value(text, param, 'system')));
        }
        return guarded;
      }),
  };
}

const SOURCE_OF_ROLE: Readonly<Record<ChatMessage['role'], TextSource>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
};

/** What was found, by field and kind, and never the text. */
function summaryOf(found: readonly LocatedReasons[]) {
  const tallies = new Map<
    string,
    { param: string; detector: string; kind: string; action: string; view: string; count: number }
  >();
  for (const { param, reasons } of found) {
    for (const { detector, kind, action, view } of reasons) {
      const key = [param, detector, kind, view].join('\n');
      const tally = tallies.get(key) ?? { param, detector, kind, action, view, count: 0 };
      tally.count++;
      tallies.set(key, tally);
      if (tallies.size >= MAX_LOGGED) return [...tallies.values()];
    }
  }
  return [...tallies.values()];
}
