import type { FastifyReply, FastifyRequest } from 'fastify';
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

/** Requests under a key: each is done once, and answered as the first time. */
export type IdempotentAnswers = Readonly<{
  /** True where the answer of the first time was sent: then there is nothing left to do. */
  replay(
    request: FastifyRequest,
    reply: FastifyReply,
    about: Readonly<{ key: string; content: readonly string[]; tenantId: string | null }>,
  ): Promise<boolean>;
}>;

/**
 * Keeps the answers of `app`'s routes to requests that went through `replay`. Only what succeeded is kept; what was
 * refused leaves its key free. What failed inside (5xx) may have been done: its key stays taken, except where doing it
 * again does nothing twice (`isRepeatable`).
 */
export function addIdempotentAnswers(
  app: RouterApp,
  { idempotency, logger }: { idempotency: IdempotencyStore; logger: Logger },
  { isRepeatable }: Readonly<{ isRepeatable: boolean }>,
): IdempotentAnswers {
  const reservations = new WeakMap<FastifyRequest, Reservation>();

  app.addHook('onSend', async (request, reply, payload) => {
    const reservation = reservations.get(request);
    if (reservation === undefined) return;
    reservations.delete(request);
    try {
      if (reply.statusCode >= 300 || typeof payload !== 'string') {
        if (isRepeatable || reply.statusCode < 500) await idempotency.abandon(reservation);
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

  return {
    async replay(request, reply, { key, content, tenantId }) {
      const principal = principalOf(request);
      const found = await idempotency.begin({
        caller: callerOf(principal),
        ...(principal.kind === 'operator' ? {} : { lane: principal.context.tenantId }),
        key,
        asked: [request.method, request.url, ...content],
        tenantId,
        isRepeatable,
      });
      if ('fingerprint' in found) {
        reservations.set(request, found);
        return false;
      }
      // Not awaited: a reply is settled once the client has it all, which nothing here waits for.
      void reply
        .header('idempotency-replayed', 'true')
        .status(found.status)
        .headers(found.headers)
        .send(found.body);
      return true;
    },
  };
}

/** The request's key; null where it has none. Throws a 400 for one that is not a key. */
export function idempotencyKeyOf(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && KEY.test(key)) return key;
  throw new BulkheadError('invalid_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters.', {
    param: 'idempotency-key',
  });
}

/** The tenant that a path or a body names. */
export function tenantNamed(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('tenant_id' in value)) return null;
  return typeof value.tenant_id === 'string' ? value.tenant_id : null;
}

/** A tenant or user id holds no slash. */
const callerOf = (principal: Principal): string =>
  principal.kind === 'operator'
    ? `operator/${principal.keyId}`
    : `${principal.context.tenantId}/${principal.context.keyId ?? `user/${principal.context.userId}`}`;
