import type { ErrorCode } from '#app/errors/catalogue.ts';
import type { TenantId } from '#app/ids.ts';
import type { RequestState } from '#router/http/request-state.ts';
import { authorOf } from '#router/identity/principal.ts';
import { callerBehind } from '#router/identity/refused-caller.ts';

/** A request that was said no to, with nothing in it that the client wrote but the shape of its credential. */
export type Denial = Readonly<{
  /** null: nobody knows who it was. */
  tenantId: TenantId | null;
  actor: string;
  code: ErrorCode;
  /** Method and route, not the URL. */
  target: string;
  policy: string | null;
  /** The first of those that are counted together. */
  requestId: string;
  /** Of strangers only: nothing else tells them apart. */
  clientAddress: string | null;
}>;

/** Errors by which identity, a policy or a limit said no. */
export const DENIALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'missing_credential',
  'invalid_credential',
  'tenant_mismatch',
  'user_mismatch',
  'tenant_disabled',
  'not_a_member',
  'address_not_allowed',
  'missing_scope',
  'route_not_allowed',
  'model_not_allowed',
  'tool_blocked',
  'guardrail_refused',
  'rate_limit_exceeded',
  'budget_exceeded',
  'storage_exceeded',
]);

/** What the audit says of a request that has ended; null where it was not denied. */
export function denialOf(
  state: RequestState,
  request: { method: string; route: string | undefined; clientAddress: string },
): Denial | null {
  const { failure, principal } = state;
  if (failure === null || !DENIALS.has(failure.code)) return null;
  const caller =
    principal === null
      ? callerBehind(failure)
      : {
          tenantId: principal.kind === 'tenant' ? principal.context.tenantId : null,
          actor: authorOf(principal),
        };
  return {
    tenantId: caller?.tenantId ?? null,
    actor: caller?.actor ?? 'anonymous',
    code: failure.code,
    target: `${request.method} ${request.route ?? '(no route)'}`,
    policy: failure.refusal?.policy ?? null,
    requestId: state.requestId,
    clientAddress: caller === null ? request.clientAddress : null,
  };
}
