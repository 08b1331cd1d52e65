-- The audit: one hash chain a tenant, and one ('*', which no tenant id can be) for what belongs to no tenant or
-- must outlive one. A chain goes with its tenant, by the foreign keys and in no other way.
CREATE TABLE bulkhead.audit_chains (
  chain text PRIMARY KEY,
  tenant_id text UNIQUE REFERENCES bulkhead.tenants ON DELETE CASCADE,
  -- The newest event's number and hash. Whoever appends locks this row: numbers have no gaps.
  seq bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
  hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
  CHECK (chain = coalesce(tenant_id, '*'))
);

CREATE TABLE bulkhead.audit_events (
  chain text NOT NULL REFERENCES bulkhead.audit_chains ON DELETE CASCADE,
  seq bigint NOT NULL CHECK (seq > 0),
  -- Whole milliseconds: all of it is under the hash.
  at timestamptz NOT NULL CHECK (at = date_trunc('milliseconds', at)),
  actor text NOT NULL,
  -- Whom it is about. On the operators' chain it may be a tenant that is gone: no foreign key.
  tenant_id text,
  action text NOT NULL,
  target text,
  outcome text NOT NULL CHECK (outcome IN ('done', 'denied')),
  details jsonb NOT NULL,
  previous_hash text NOT NULL CHECK (previous_hash ~ '^[0-9a-f]{64}$'),
  hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
  PRIMARY KEY (chain, seq),
  CHECK (chain = '*' OR chain = tenant_id)
);

ALTER TABLE bulkhead.audit_chains ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.audit_chains FORCE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.audit_events FORCE ROW LEVEL SECURITY;

-- No role may change or remove an event.
GRANT SELECT, INSERT ON bulkhead.audit_events TO bulkhead_system;
GRANT SELECT, INSERT, UPDATE (seq, hash) ON bulkhead.audit_chains TO bulkhead_system;
GRANT SELECT ON bulkhead.audit_events, bulkhead.audit_chains TO bulkhead_tenant;

CREATE POLICY system_reads ON bulkhead.audit_events FOR SELECT TO bulkhead_system USING (true);
CREATE POLICY system_appends ON bulkhead.audit_events FOR INSERT TO bulkhead_system WITH CHECK (true);
CREATE POLICY system_manages ON bulkhead.audit_chains FOR ALL TO bulkhead_system USING (true) WITH CHECK (true);
CREATE POLICY tenant_sees ON bulkhead.audit_events FOR SELECT TO bulkhead_tenant
  USING (chain = bulkhead.current_tenant());
CREATE POLICY tenant_sees ON bulkhead.audit_chains FOR SELECT TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant());

-- Nor the tables' owner by a slip: only the removal of a tenant reaches its events, from within its own trigger.
CREATE FUNCTION bulkhead.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND pg_trigger_depth() > 1 THEN RETURN OLD; END IF;
  RAISE EXCEPTION 'audit events are never changed or removed';
END
$$;
CREATE TRIGGER audit_events_are_kept BEFORE UPDATE OR DELETE ON bulkhead.audit_events
  FOR EACH ROW EXECUTE FUNCTION bulkhead.refuse_audit_change();
CREATE TRIGGER audit_events_are_all_kept BEFORE TRUNCATE ON bulkhead.audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION bulkhead.refuse_audit_change();
