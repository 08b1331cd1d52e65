import type { FastifyRequest } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { Logger } from '#observability/logger.ts';
import { principalOf } from '#router/http/request-state.ts';
import type { IdempotencyStore, Reservation } from '#router/idempotency/idempotency-store.ts';
import type { Principal } from '#router/identity/principal.ts';
import type { RouterApp } from '#router/router-services.ts';

const KEY = /^[\x21-\x7e]{1,255}$/;
const KEPT_HEADERS = ['content-type', 'etag', 'location'];
/** Of an answer; one that is longer is never given twice. */
const MAX_ANSWER_CHARACTERS = 8_000_000;

/**
 * Lets clients send a POST again with the same `Idempotency-Key`: it is done once, and answered as the first time. Only
 * what succeeded is kept. Runs after permissions and limits, so that a replay needs what the request needs.
 */
export function addIdempotency(
  app: RouterApp,
  { idempotency, logger }: { idempotency: IdempotencyStore; logger: Logger },
): void {
  const reservations = new WeakMap<FastifyRequest, Reservation>();

  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    if (key === undefined || request.method !== 'POST') return;
    if (typeof key !== 'string' || !KEY.test(key)) {
      throw new BulkheadError(
        'invalid_request',
        'Idempotency-Key must be 1 to 255 visible ASCII characters.',
        {
          param: 'idempotency-key',
        },
      );
    }
    const found = await idempotency.begin({
      caller: callerOf(principalOf(request)),
      key,
      asked: [request.method, request.url, JSON.stringify(request.body ?? null)],
      tenantId: tenantNamed(request.params),
    });
    if ('fingerprint' in found) {
      reservations.set(request, found);
      return;
    }
    reply.header('idempotency-replayed', 'true');
    return reply.status(found.status).headers(found.headers).send(found.body);
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const reservation = reservations.get(request);
    if (reservation === undefined) return;
    reservations.delete(request);
    try {
      if (reply.statusCode >= 300 || typeof payload !== 'string') {
        // What failed inside may have been done: its key stays taken.
        if (reply.statusCode < 500) await idempotency.abandon(reservation);
        return;
      }
      if (payload.length > MAX_ANSWER_CHARACTERS) return;
      const headers = Object.fromEntries(
        KEPT_HEADERS.flatMap((name) => {
          const value = reply.getHeader(name);
          return value === undefined ? [] : [[name, String(value)] as const];
        }),
      );
      const tenantId = tenantNamed(request.params) ?? tenantNamed(request.body);
      await idempotency.finish(reservation, { status: reply.statusCode, headers, body: payload }, tenantId);
    } catch (error) {
      // The answer is right all the same; the key stays taken, so that nothing is done twice.
      logger.warn(
        { event: 'idempotency_not_kept', err: error, request_id: request.id },
        'an answer is not kept',
      );
    }
  });
}

/** A tenant or user id holds no slash. */
const callerOf = (principal: Principal): string =>
  principal.kind === 'operator'
    ? `operator/${principal.keyId}`
    : `${principal.context.tenantId}/${principal.context.keyId ?? `user/${principal.context.userId}`}`;

function tenantNamed(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('tenant_id' in value)) return null;
  return typeof value.tenant_id === 'string' ? value.tenant_id : null;
}
