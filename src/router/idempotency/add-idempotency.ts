import type { Logger } from '#observability/logger.ts';
import {
  addIdempotentAnswers,
  idempotencyKeyOf,
  tenantNamed,
} from '#router/idempotency/add-idempotent-answers.ts';
import type { IdempotencyStore } from '#router/idempotency/idempotency-store.ts';
import type { RouterApp } from '#router/router-services.ts';

/**
 * Lets clients send a POST with a JSON body again with the same `Idempotency-Key`: it is done once, and answered as the
 * first time. Runs after permissions and limits, so that a replay needs what the request needs.
 */
export function addIdempotency(
  app: RouterApp,
  services: { idempotency: IdempotencyStore; logger: Logger },
): void {
  const answers = addIdempotentAnswers(app, services, { isRepeatable: false });
  app.addHook('preHandler', async (request, reply) => {
    if (request.method !== 'POST') return;
    const key = idempotencyKeyOf(request);
    if (key === null) return;
    const content = [JSON.stringify(request.body ?? null)];
    const tenantId = tenantNamed(request.params);
    if (await answers.replay(request, reply, { key, content, tenantId })) return reply;
  });
}
