-- What each tenant stores, kept with the rows of its documents in their transactions: an upload locks its tenant's sum, so that
-- uploads at once, on however many services, are decided one after another.
CREATE TABLE bulkhead.storage_used (
  tenant_id text PRIMARY KEY REFERENCES bulkhead.tenants ON DELETE CASCADE,
  -- Those that are being deleted count until their files are gone.
  documents bigint NOT NULL,
  bytes bigint NOT NULL
);

-- The owner reads all rows to add them up: forced row-level security would hide them.
ALTER TABLE bulkhead.documents NO FORCE ROW LEVEL SECURITY;
INSERT INTO bulkhead.storage_used SELECT tenant_id, count(*), sum(byte_size) FROM bulkhead.documents GROUP BY tenant_id;
ALTER TABLE bulkhead.documents FORCE ROW LEVEL SECURITY;

ALTER TABLE bulkhead.storage_used ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.storage_used FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON bulkhead.storage_used TO bulkhead_app, bulkhead_tenant;
CREATE POLICY tenant_counts ON bulkhead.storage_used FOR ALL TO bulkhead_app, bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant()) WITH CHECK (tenant_id = bulkhead.current_tenant());
-- Erasing a tenant removes its documents in the name of the system.
GRANT SELECT, UPDATE ON bulkhead.storage_used TO bulkhead_system;
CREATE POLICY system_counts ON bulkhead.storage_used FOR ALL TO bulkhead_system USING (true) WITH CHECK (true);

CREATE FUNCTION bulkhead.count_added_documents() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog
  AS $$
BEGIN
  INSERT INTO bulkhead.storage_used AS s (tenant_id, documents, bytes)
  SELECT tenant_id, count(*), sum(byte_size) FROM added GROUP BY tenant_id ORDER BY tenant_id
  ON CONFLICT (tenant_id) DO UPDATE SET documents = s.documents + excluded.documents, bytes = s.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
CREATE FUNCTION bulkhead.count_removed_documents() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog
  AS $$
BEGIN
  UPDATE bulkhead.storage_used AS s SET documents = s.documents - r.documents, bytes = s.bytes - r.bytes
    FROM (SELECT tenant_id, count(*) AS documents, sum(byte_size) AS bytes FROM removed GROUP BY tenant_id) AS r
   WHERE s.tenant_id = r.tenant_id;
  RETURN NULL;
END
$$;
CREATE TRIGGER count_added AFTER INSERT ON bulkhead.documents
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION bulkhead.count_added_documents();
CREATE TRIGGER count_removed AFTER DELETE ON bulkhead.documents
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION bulkhead.count_removed_documents();

-- Nothing of a policy is for these roles to read but what an upload is measured by. NULL: the deployment's default.
ALTER TABLE bulkhead.tenants
  ADD COLUMN max_stored_bytes bigint GENERATED ALWAYS AS ((config #>> '{storage,max_bytes}')::bigint) STORED,
  ADD COLUMN max_documents bigint GENERATED ALWAYS AS ((config #>> '{storage,max_documents}')::bigint) STORED;
GRANT SELECT (tenant_id, max_stored_bytes, max_documents) ON bulkhead.tenants TO bulkhead_app, bulkhead_tenant;
CREATE POLICY own_limits ON bulkhead.tenants FOR SELECT TO bulkhead_app, bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant());
