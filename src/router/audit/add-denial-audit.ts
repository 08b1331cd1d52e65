import type { FastifyInstance } from 'fastify';
import type { DenialRecorder } from '#router/audit/denial-recorder.ts';
import { denialOf } from '#router/audit/denials.ts';
import { findState } from '#router/http/request-state.ts';

/** Has every denied request audited when its answer is out: nobody waits for it. */
export function addDenialAudit(app: FastifyInstance, recorder: DenialRecorder): void {
  app.addHook('onResponse', (request, _reply, done) => {
    const state = findState(request);
    if (state !== undefined && state.failure !== null) {
      const { method, ip: clientAddress, routeOptions } = request;
      const denial = denialOf(state, { method, route: routeOptions.url, clientAddress });
      if (denial !== null) recorder.record(denial);
    }
    done();
  });
}
