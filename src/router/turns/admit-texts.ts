import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Logger } from '#observability/logger.ts';
import type { RequestState } from '#router/http/request-state.ts';
import type { TenantPrincipal } from '#router/identity/principal.ts';
import { decideContent, type RequestText } from '#router/policy/decide-content.ts';
import { refusalError } from '#router/policy/refusal.ts';
import { keepTexts } from '#router/request-log/explanation.ts';

/** Matching this long, other requests get their turn. */
const SLICE_MS = 5;

/** Puts every text of a request to the tenant's patterns and rules. Throws the first refusal. */
export async function admitTexts(options: {
  texts: readonly RequestText[];
  tenant: TenantPrincipal;
  state: RequestState;
  logger: Logger;
}): Promise<void> {
  const { texts, tenant, state, logger } = options;
  const { policy, context } = tenant;
  const { explained } = state.usage;
  keepTexts(explained, policy, texts);
  const flags = new Set<string>();
  const start = performance.now();
  let sliceStart = start;
  for (const text of texts) {
    const decision = decideContent(policy, text);
    for (const flag of decision.flags) flags.add(flag);
    explained.flags = [...flags];
    explained.policyMs = performance.now() - start;
    if (decision.refusal !== null) throw refusalError(decision.refusal);
    if (performance.now() - sliceStart > SLICE_MS) {
      await yieldToOthers();
      state.signal.throwIfAborted();
      sliceStart = performance.now();
    }
  }
  if (flags.size > 0) {
    logger.info(
      { event: 'flagged', request_id: state.requestId, tenant_id: context.tenantId, patterns: [...flags] },
      'content matches patterns that only flag',
    );
  }
}
