import type { Database, DatabaseLane } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { SealedAnswers, StoredAnswer } from '#router/idempotency/sealed-answers.ts';

/** A request under a key that its caller chose. */
export type IdempotentRequest = Readonly<{
  /** The credential and its tenant: nobody meets another's keys. */
  caller: string;
  /** Whose turn at the database it takes. */
  lane?: DatabaseLane;
  key: string;
  /** Method, path and body. */
  asked: readonly string[];
  /** Whom it is about, where that is known before it ran. */
  tenantId: string | null;
  /** Doing it again does nothing twice: once it must have been cut off, it may be done again. */
  isRepeatable: boolean;
}>;

/** The place under which a first request's answer is kept. */
export type Reservation = Readonly<{ fingerprint: string; request: string; lane?: DatabaseLane }>;

export interface IdempotencyStore {
  /**
   * The answer that was given before, or a reservation for the first request with this key. Throws
   * `idempotency_key_reused` where the key was used for something else, `conflict` while the first request runs, or where
   * it was cut off and nobody knows what it did, and `rate_limit_exceeded` for a caller with too many keys.
   */
  begin(request: IdempotentRequest): Promise<StoredAnswer | Reservation>;
  /** Keeps the answer, unless the key was given to another request since. */
  finish(reservation: Reservation, answer: StoredAnswer, tenantId: string | null): Promise<void>;
  /** Forgets the key: nothing was done, and it may be tried again. */
  abandon(reservation: Reservation): Promise<void>;
  /** Deletes what is over. */
  purge(): Promise<void>;
}

/** Hours that an answer is kept. */
export const KEPT_HOURS = 24;
/** Live keys of one caller. */
const MAX_KEYS = 10_000;
const RETRY_MS = 1_000;
/** Minutes after which a request without an answer was cut off: by then its process died, or its client was told. */
const UNDER_WAY_MINUTES = 10;
const IS_LIVE = `created_at > now() - interval '${KEPT_HOURS} hours'`;
const IS_CUT_OFF = `answer IS NULL AND created_at < now() - interval '${UNDER_WAY_MINUTES} minutes'`;

export function createIdempotencyStore(options: {
  database: Database;
  sealed: SealedAnswers;
}): IdempotencyStore {
  const { database, sealed } = options;

  return {
    async begin({ caller, lane, key, asked, tenantId, isRepeatable }) {
      const fingerprint = sealed.hmac('key', caller, key);
      const request = sealed.hmac('request', ...asked);
      const row = await database.asSystem(async (transaction) => {
        const insert = () =>
          transaction.query(
            `INSERT INTO bulkhead.idempotency_keys (fingerprint, request_hmac, caller, tenant_id)
             VALUES ($1, $2, $3, (SELECT tenant_id FROM bulkhead.tenants WHERE tenant_id = $4))
             ON CONFLICT (fingerprint) DO NOTHING RETURNING fingerprint`,
            [fingerprint, request, caller, tenantId],
          );
        await transaction.query(
          `DELETE FROM bulkhead.idempotency_keys
            WHERE fingerprint = $1 AND (NOT (${IS_LIVE}) OR ($2 AND ${IS_CUT_OFF}))`,
          [fingerprint, isRepeatable],
        );
        if ((await insert()).length > 0) {
          const [count] = await transaction.query(
            `SELECT count(*) AS keys FROM (SELECT 1 FROM bulkhead.idempotency_keys
              WHERE caller = $1 AND ${IS_LIVE} LIMIT ${MAX_KEYS + 1}) AS live`,
            [caller],
          );
          // Thrown inside the transaction, so that the key is not kept.
          if (Number(count?.keys) > MAX_KEYS) throw tooMany();
          return null;
        }
        const [known] = await transaction.query(
          'SELECT request_hmac, answer FROM bulkhead.idempotency_keys WHERE fingerprint = $1',
          [fingerprint],
        );
        // Abandoned between the two statements: as good as under way.
        return known ?? { request_hmac: request, answer: null };
      }, lane);
      if (row === null) return { fingerprint, request, ...(lane === undefined ? {} : { lane }) };
      if (row.request_hmac !== request) {
        throw new BulkheadError(
          'idempotency_key_reused',
          'This Idempotency-Key was used for another request. Use a new one.',
          { param: 'idempotency-key' },
        );
      }
      if (typeof row.answer !== 'string') {
        throw new BulkheadError(
          'conflict',
          'The first request with this Idempotency-Key is under way, or was cut off: look whether it took effect, ' +
            'and use a new key if it did not.',
          { param: 'idempotency-key', retryAfterMs: RETRY_MS },
        );
      }
      return sealed.open(fingerprint, row.answer);
    },

    async finish({ fingerprint, request, lane }, answer, tenantId) {
      await database.asSystem(
        (transaction) =>
          transaction.query(
            `UPDATE bulkhead.idempotency_keys SET answer = $2,
                  tenant_id = coalesce(tenant_id, (SELECT tenant_id FROM bulkhead.tenants WHERE tenant_id = $3))
            WHERE fingerprint = $1 AND request_hmac = $4 AND answer IS NULL`,
            [fingerprint, sealed.seal(fingerprint, answer), tenantId, request],
          ),
        lane,
      );
    },

    async abandon({ fingerprint, request, lane }) {
      await database.asSystem(
        (transaction) =>
          transaction.query(
            `DELETE FROM bulkhead.idempotency_keys
            WHERE fingerprint = $1 AND request_hmac = $2 AND answer IS NULL`,
            [fingerprint, request],
          ),
        lane,
      );
    },

    async purge() {
      await database.asSystem(
        (transaction) => transaction.query(`DELETE FROM bulkhead.idempotency_keys WHERE NOT (${IS_LIVE})`),
        'platform:upkeep',
      );
    },
  };
}

const tooMany = () =>
  new BulkheadError(
    'rate_limit_exceeded',
    `A caller may have ${MAX_KEYS} idempotency keys in ${KEPT_HOURS} hours.`,
    {
      param: 'idempotency-key',
      refusal: { policy: 'idempotency_keys', limit: MAX_KEYS },
      retryAfterMs: 60_000,
    },
  );
