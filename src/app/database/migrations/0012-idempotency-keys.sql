-- Answers to requests that may be sent again: kept for a day, and readable with API_KEY_PEPPER alone.
CREATE TABLE bulkhead.idempotency_keys (
  -- HMAC of the caller and the key that it chose; and of what it asked.
  fingerprint text PRIMARY KEY,
  request_hmac text NOT NULL,
  caller text NOT NULL,
  -- Whom the answer is about: it goes with its tenant. NULL until that is known.
  tenant_id text REFERENCES bulkhead.tenants ON DELETE CASCADE,
  -- AES-256-GCM, base64. NULL: the first request is under way, or was cut off.
  answer text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_of_caller ON bulkhead.idempotency_keys (caller, created_at);
CREATE INDEX idempotency_keys_by_time ON bulkhead.idempotency_keys (created_at);
CREATE INDEX idempotency_keys_of_tenant ON bulkhead.idempotency_keys (tenant_id);

ALTER TABLE bulkhead.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.idempotency_keys FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE (tenant_id, answer), DELETE ON bulkhead.idempotency_keys TO bulkhead_system;
CREATE POLICY system_manages ON bulkhead.idempotency_keys FOR ALL TO bulkhead_system
  USING (true) WITH CHECK (true);
