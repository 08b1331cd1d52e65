import { turnOfTenant } from '#app/turn-of-tenant.ts';
import type { Logger } from '#observability/logger.ts';
import { guardrailFailure } from '#router/guardrails/explain-refusal.ts';
import type { RequestState } from '#router/http/request-state.ts';
import type { TenantPrincipal } from '#router/identity/principal.ts';
import { type ContentThread, isForThread } from '#router/policy/content-thread.ts';
import { type ContentDecision, contentSteps, type RequestText } from '#router/policy/decide-content.ts';
import { refusalError } from '#router/policy/refusal.ts';
import { keepTexts } from '#router/request-log/explanation.ts';

/** Matching this long, other requests get their turn. */
const SLICE_MS = 5;

/** Puts every text of a request to the tenant's patterns and rules. Throws the first refusal. */
export async function admitTexts(options: {
  texts: readonly RequestText[];
  tenant: TenantPrincipal;
  state: RequestState;
  content: ContentThread;
  logger: Logger;
}): Promise<void> {
  const { texts, tenant, state, content, logger } = options;
  const { policy, context } = tenant;
  const { explained } = state.usage;
  keepTexts(explained, policy, texts);
  const flags = new Set<string>();
  const start = performance.now();
  let sliceStart = start;
  // Asked of every text and pattern: nothing is awaited that need not be.
  const isDue = () => performance.now() - sliceStart > SLICE_MS;
  const breathe = async () => {
    await turnOfTenant(context.tenantId);
    state.signal.throwIfAborted();
    sliceStart = performance.now();
  };

  const decideElsewhere = (text: RequestText): Promise<ContentDecision> =>
    content.decide(policy, text, state.signal).catch((error: unknown) => {
      state.signal.throwIfAborted();
      logger.error(
        {
          event: 'guardrail_failed',
          err: error,
          request_id: state.requestId,
          tenant_id: context.tenantId,
        },
        'a text could not be put to the tenant’s patterns, so it is refused',
      );
      throw guardrailFailure(text.param);
    });

  for (const text of texts) {
    let decision: ContentDecision;
    if (isForThread(policy, text)) decision = await decideElsewhere(text);
    else {
      const steps = contentSteps(policy, text);
      let step = steps.next();
      while (step.done !== true) {
        if (isDue()) await breathe();
        step = steps.next();
      }
      decision = step.value;
    }
    for (const flag of decision.flags) flags.add(flag);
    if (flags.size > 0) explained.flags = [...flags];
    explained.policyMs = performance.now() - start;
    if (decision.refusal !== null) throw refusalError(decision.refusal);
    if (isDue()) await breathe();
  }
  if (flags.size > 0) {
    logger.info(
      { event: 'flagged', request_id: state.requestId, tenant_id: context.tenantId, patterns: [...flags] },
      'content matches patterns that only flag',
    );
  }
}
