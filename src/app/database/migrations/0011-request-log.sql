-- What became of each request of a tenant, and why. It may miss rows when the database is slow; the ledger never does.
CREATE TABLE bulkhead.request_log (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  -- Sorts by the time that the request began: pages, time filters and retention need no other index.
  request_id text COLLATE "C" NOT NULL,
  user_id text NOT NULL,
  route text NOT NULL,
  model text,
  status integer NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('ok', 'refused', 'error', 'aborted')),
  refusal_reason text,
  latency_ms double precision NOT NULL,
  -- The explained decision: `requestDecisionSchema`.
  decision jsonb NOT NULL,
  -- Redacted texts, where the tenant asks for them: `requestBodiesSchema`.
  bodies jsonb,
  PRIMARY KEY (tenant_id, request_id)
);
CREATE INDEX request_log_of_user ON bulkhead.request_log (tenant_id, user_id, request_id);
CREATE INDEX request_log_refused ON bulkhead.request_log (tenant_id, refusal_reason, request_id)
  WHERE refusal_reason IS NOT NULL;

ALTER TABLE bulkhead.request_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.request_log FORCE ROW LEVEL SECURITY;

-- The writer serves all tenants and reads nothing back; one tenant's rows are read and expire as that tenant.
GRANT INSERT ON bulkhead.request_log TO bulkhead_system;
GRANT SELECT, DELETE ON bulkhead.request_log TO bulkhead_tenant;

CREATE POLICY system_appends ON bulkhead.request_log FOR INSERT TO bulkhead_system WITH CHECK (true);
CREATE POLICY tenant_sees ON bulkhead.request_log FOR SELECT TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant());
CREATE POLICY tenant_expires ON bulkhead.request_log FOR DELETE TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant());
