import type { Database, Subscription } from '#app/database/database.ts';
import { tenantIdSchema } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import type { ApiKeyVerifier } from '#router/identity/api-key-verifier.ts';
import type { PolicyCache } from '#router/tenants/policy-cache.ts';

/** Where the database's triggers tell of changes, as `<kind>:<id>`. */
const CHANNEL = 'bulkhead_changes';

/**
 * Forgets what another router, or anybody else, has changed in the database, as soon as it tells. A message says only
 * where to look again; one that is lost costs the two seconds that policies and keys are believed at most.
 */
export function watchChanges(options: {
  database: Pick<Database, 'listen'>;
  policies: Pick<PolicyCache, 'forget'>;
  verifier: Pick<ApiKeyVerifier, 'forget'>;
  logger: Logger;
}): Promise<Subscription> {
  const { database, policies, verifier, logger } = options;
  return database.listen(CHANNEL, {
    onMessage(payload) {
      const [kind, id = ''] = payload.split(':');
      if (kind === 'key') verifier.forget(id);
      if (kind !== 'tenant') return;
      const tenantId = tenantIdSchema.safeParse(id);
      if (tenantId.success) policies.forget(tenantId.data);
    },
    onError: (error) =>
      logger.warn(
        { event: 'change_listener_lost', err: error },
        'the database’s notifications are lost for now: changes take up to two seconds',
      ),
  });
}
