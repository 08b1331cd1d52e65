-- Tenants that are being erased, or were: they exist for nobody, and their ids are not given out again.
CREATE TABLE bulkhead.tenant_erasures (
  -- No foreign key: it outlives its tenant.
  tenant_id text PRIMARY KEY,
  requested_by text NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT now(),
  -- NULL: not done; the next start goes on.
  finished_at timestamptz
);
ALTER TABLE bulkhead.tenant_erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.tenant_erasures FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE (finished_at) ON bulkhead.tenant_erasures TO bulkhead_system;
CREATE POLICY system_manages ON bulkhead.tenant_erasures FOR ALL TO bulkhead_system
  USING (true) WITH CHECK (true);
